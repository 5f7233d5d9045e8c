// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// fakeKernel is a model of what Linux makes of clock_adjtime(CLOCK_REALTIME), after kernel/time/ntp.c and timekeeping.c.
type fakeKernel struct {
	ns                 int64 // CLOCK_REALTIME
	tick, freq         int64
	maxError, estError int64
	status             int32
	state              int
	tai                int32
	err                error        // what every call fails with, if set
	calls              []unix.Timex // as they were made
}

const readOnlyFlags = unix.STA_PPSSIGNAL | unix.STA_PPSJITTER | unix.STA_PPSWANDER | unix.STA_PPSERROR |
	unix.STA_CLOCKERR | unix.STA_NANO | unix.STA_MODE | unix.STA_CLK

// newFakeKernel returns a kernel as it is after boot.
func newFakeKernel() *fakeKernel {
	return &fakeKernel{
		ns: 1_700_000_000_123_456_789, tick: 10_000, status: unix.STA_UNSYNC,
		maxError: 16_000_000, estError: 16_000_000, state: unix.TIME_OK,
	}
}

func (k *fakeKernel) gettime() (int64, error) { return k.ns, k.err }

func (k *fakeKernel) adjtime(tx *unix.Timex) (int, error) {
	k.calls = append(k.calls, *tx)
	if k.err != nil {
		return -1, k.err
	}
	if tx.Modes&unix.ADJ_TICK != 0 && (tx.Tick < 9000 || tx.Tick > 11000) {
		return -1, unix.EINVAL
	}
	if tx.Modes&unix.ADJ_SETOFFSET != 0 {
		if err := k.inject(tx); err != nil {
			return -1, err
		}
	}
	k.setModes(tx)
	set(&tx.Tick, k.tick)
	set(&tx.Freq, k.freq)
	set(&tx.Maxerror, k.maxError)
	set(&tx.Esterror, k.estError)
	tx.Status, tx.Tai = k.status, k.tai
	if k.status&(unix.STA_UNSYNC|unix.STA_CLOCKERR) != 0 {
		return unix.TIME_ERROR, nil
	}
	return k.state, nil
}

func (k *fakeKernel) inject(tx *unix.Timex) error {
	sec, sub := int64(tx.Time.Sec), int64(tx.Time.Usec)
	limit, unit := int64(1e6), int64(1000)
	if tx.Modes&unix.ADJ_NANO != 0 {
		limit, unit = 1e9, 1
	}
	delta := sec*1e9 + sub*unit
	if sub < 0 || sub >= limit || k.ns+delta < 0 {
		return unix.EINVAL
	}
	k.ns += delta
	k.status |= unix.STA_UNSYNC
	k.maxError, k.estError = 16_000_000, 16_000_000
	return nil
}

func (k *fakeKernel) setModes(tx *unix.Timex) {
	if tx.Modes&unix.ADJ_STATUS != 0 {
		if k.status&unix.STA_PLL != 0 && tx.Status&unix.STA_PLL == 0 {
			k.state, k.status = unix.TIME_OK, unix.STA_UNSYNC
		}
		k.status = k.status&readOnlyFlags | tx.Status&^readOnlyFlags
	}
	if tx.Modes&unix.ADJ_NANO != 0 {
		k.status |= unix.STA_NANO
	}
	if tx.Modes&unix.ADJ_FREQUENCY != 0 {
		k.freq = min(max(int64(tx.Freq), -500<<16), 500<<16)
	}
	if tx.Modes&unix.ADJ_MAXERROR != 0 {
		k.maxError = min(max(int64(tx.Maxerror), 0), 16_000_000)
	}
	if tx.Modes&unix.ADJ_ESTERROR != 0 {
		k.estError = min(max(int64(tx.Esterror), 0), 16_000_000)
	}
	if tx.Modes&unix.ADJ_TAI != 0 && tx.Constant >= 0 && tx.Constant <= 100_000 {
		k.tai = int32(tx.Constant)
	}
	if tx.Modes&unix.ADJ_TICK != 0 {
		k.tick = int64(tx.Tick)
	}
}

// midnight runs the leap second machine over the end of a UTC day and into the next.
func (k *fakeKernel) midnight() {
	switch {
	case k.state == unix.TIME_OK && k.status&unix.STA_INS != 0:
		k.state = unix.TIME_WAIT
		k.tai++
	case k.state == unix.TIME_OK && k.status&unix.STA_DEL != 0:
		k.state = unix.TIME_WAIT
		k.tai--
	}
	k.second()
}

// second is what the kernel does once a second.
func (k *fakeKernel) second() {
	if k.state == unix.TIME_WAIT && k.status&leapBits == 0 {
		k.state = unix.TIME_OK
	}
	if k.maxError += 500; k.maxError > 16_000_000 {
		k.maxError = 16_000_000
		k.status |= unix.STA_UNSYNC
	}
}

func TestTimexFrequencyCarriesEveryCorrectionInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ppb := rapid.Float64Range(-maxPPB, maxPPB).Draw(t, "ppb")
		tick, freq := timexFrequency(ppb)
		if tick < 9000 || tick > 11000 || freq < -500<<16 || freq > 500<<16 {
			t.Fatalf("%g ppb: tick %d, frequency %d are beyond what the kernel takes", ppb, tick, freq)
		}
		if math.Abs(ppb) <= 500_000 && tick != nominalTick {
			t.Fatalf("%g ppb: tick %d where the frequency alone does", ppb, tick)
		}
		if got := timexPPB(tick, freq); math.Abs(got-ppb) > 0.00763+1e-6 {
			t.Fatalf("%g ppb came back as %g", ppb, got)
		}
	})
}

func TestTimexErrorRoundsUpAndSaturates(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int64
	}{
		{0, 0}, {1, 1}, {999, 1}, {1000, 1}, {1001, 2}, {-1, 0}, {-time.Hour, 0},
		{16*time.Second - 1, 16_000_000}, {16 * time.Second, 16_000_000}, {time.Hour, 16_000_000}, {math.MaxInt64, 16_000_000},
	} {
		if got := timexError(c.d); got != c.want {
			t.Errorf("%v: %d µs, want %d", c.d, got, c.want)
		}
	}
}
