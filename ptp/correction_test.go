// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

func interval(t *testing.T, d time.Duration) wire.TimeInterval {
	t.Helper()
	c, err := wire.IntervalOf(d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One Sync of a followed master says that it was held for longer than the round trip took, or for less than no time.
func TestOneAbsurdSyncCorrection(t *testing.T) {
	for _, tc := range []struct {
		sync, followUp time.Duration
		twoStep, taken bool
	}{
		{sync: 900 * time.Millisecond},
		{sync: 10 * time.Millisecond},
		{sync: -10 * time.Millisecond},
		{sync: -2 * time.Microsecond},
		{sync: 900, taken: true},
		{sync: -900, taken: true},
		{twoStep: true, sync: 10 * time.Millisecond},
		{twoStep: true, followUp: 10 * time.Millisecond},
		{twoStep: true, sync: 900 * time.Millisecond, followUp: 900 * time.Millisecond},
		{twoStep: true, sync: 5 * time.Millisecond, followUp: 5 * time.Millisecond},
		{twoStep: true, sync: -time.Millisecond, followUp: 900 * time.Microsecond},
		{twoStep: true, sync: 10 * time.Millisecond, followUp: -10 * time.Millisecond, taken: true},
	} {
		n, h := locked(t, 40)
		n.measurements = nil
		s := sync(1, 12)
		s.Correction = interval(t, tc.sync)
		origin, err := wire.TimestampOf(epoch + int64(n.now) - 1000)
		if err != nil {
			t.Fatal(err)
		}
		if s.Origin = origin; tc.twoStep {
			s.Flags |= wire.FlagTwoStep
		}
		n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), h.addr)
		if tc.twoStep {
			f := wire.FollowUp{Header: s.Header, PreciseOrigin: origin}
			f.Correction = interval(t, tc.followUp)
			n.port.Receive(n.now, encode(t, &f), clock.Timestamp{}, h.addr)
		}
		if taken := len(n.measurements) == 1; taken != tc.taken || (n.rejected(ptp.ReasonCorrection) == 0) != tc.taken {
			t.Errorf("%+v: taken %v, rejected %v", tc, taken, n.port.Counters().Rejected)
		}
		h.master.Faults.Silent = true // its sequenceIds are behind
		n.state(ptp.Slave)
	}
}

func TestNegativeDelayRespCorrection(t *testing.T) {
	n, h := locked(t, 41)
	delays, delay := n.port.Counters().Delays, n.port.Status(n.now).MeanPathDelay
	h.master.Faults.DelayCorrection = interval(t, -10*time.Microsecond)
	n.run(60 * time.Second)
	if got := n.port.Counters().Delays; got > delays+1 || n.rejected(ptp.ReasonCorrection) < 20 {
		t.Errorf("%d more delays, %d rejected", got-delays, n.rejected(ptp.ReasonCorrection))
	}
	if got := n.port.Status(n.now).MeanPathDelay; got != delay {
		t.Errorf("path delay %v, was %v", got, delay)
	}
	n.state(ptp.Slave)
}

// A device on the way that corrects Sync messages by too much from some moment on: none of them is measured by, and all
// is well once it stops.
func TestLastingSyncCorrection(t *testing.T) {
	for _, tc := range []struct {
		correction, offset time.Duration
		oneStep            bool
		misled             int // measurements until it is noticed
	}{
		{10 * time.Millisecond, 0, false, 0},
		{10 * time.Millisecond, 30 * 365 * 24 * time.Hour, true, 0},
		{-10 * time.Millisecond, 0, true, 0},
		{5 * time.Microsecond, 0, false, 40}, // no more than the clocks may drift between two exchanges
	} {
		n := newNet(t, 42, ptp.PortConfig{})
		n.osc.reading = float64(-tc.offset)
		h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3, OneStep: tc.oneStep})
		n.run(20*time.Second - time.Millisecond)
		n.state(ptp.Slave)
		h.master.Faults.SyncCorrection = interval(t, tc.correction)
		n.measurements = nil
		n.run(60 * time.Second)
		if got := len(n.measurements); got > tc.misled || n.rejected(ptp.ReasonCorrection) < 400 {
			t.Errorf("%+v: %d measurements, %d rejected", tc, got, n.rejected(ptp.ReasonCorrection))
		}
		n.state(ptp.Uncalibrated)
		h.master.Faults.SyncCorrection = 0
		n.measurements = nil
		n.run(10 * time.Second)
		n.state(ptp.Slave)
		if len(n.measurements) < 75 {
			t.Errorf("%+v: %d measurements afterwards", tc, len(n.measurements))
		}
		for _, m := range n.measurements {
			if (m.Offset + tc.offset).Abs() > 1000 {
				t.Fatalf("%+v: offset %v afterwards", tc, m.Offset)
			}
		}
	}
}

// A sole master whose Sync messages are corrected by too much from the start never gives an offset that counts.
func TestSyncCorrectionFromTheStart(t *testing.T) {
	n := newNet(t, 43, ptp.PortConfig{})
	h := n.addMaster(1, ptptest.Config{})
	h.master.Faults.SyncCorrection = interval(t, 10*time.Millisecond)
	n.onMeasured = func(m *ptp.Measurement) {
		if m.DelayKnown {
			t.Fatalf("offset %v", m.Offset)
		}
	}
	n.run(60 * time.Second)
	n.state(ptp.Uncalibrated)
	if n.rejected(ptp.ReasonCorrection) < 60 {
		t.Errorf("%d rejected", n.rejected(ptp.ReasonCorrection))
	}
}

// Every second Sync is corrected by too much.
func TestSyncCorrectionNowAndThen(t *testing.T) {
	n, h := locked(t, 44)
	odd := false
	h.master.Faults.Lose = func(m wire.MessageType) bool {
		if m == wire.MessageSync {
			odd = !odd
			h.master.Faults.SyncCorrection = 0
			if odd {
				h.master.Faults.SyncCorrection = interval(t, 10*time.Millisecond)
			}
		}
		return false
	}
	n.onMeasured = func(m *ptp.Measurement) {
		if m.Offset != 0 || m.MeanPathDelay != 1000<<16 {
			t.Errorf("at %v: offset %v, delay %v", time.Duration(n.now), m.Offset, m.MeanPathDelay.Duration())
		}
	}
	n.run(19 * time.Second)
	if n.rejected(ptp.ReasonCorrection) < 9 {
		t.Errorf("%d rejected", n.rejected(ptp.ReasonCorrection))
	}
	n.state(ptp.Slave)
}

// transparent returns a network with a transparent clock that holds messages for up to 1 ms.
func transparent(t *testing.T, seed uint64, cfg ptptest.Config, twoStepped bool) (*net, *host) {
	n := newNet(t, seed, ptp.PortConfig{})
	n.twoStepped = twoStepped
	n.hold = func() time.Duration { return time.Duration(n.rng.IntN(1_000_000)) }
	return n, n.addMaster(1, cfg)
}

// Large corrections that are right are all believed, by a clock that is decades off, fast and being steered.
func TestTransparentClock(t *testing.T) {
	for _, tc := range []struct {
		oneStep, twoStepped bool
		ppm                 float64
	}{{true, false, 0}, {false, false, 100}, {false, true, -100}} {
		n, _ := transparent(t, 45, ptptest.Config{OneStep: tc.oneStep, LogSyncInterval: -3}, tc.twoStepped)
		n.osc.ppm, n.osc.reading = tc.ppm, -30*365*86400e9
		n.port.Steered(n.osc.stamp(0), 0)
		for i := range 100 {
			n.after(time.Duration(i)*300*time.Millisecond, func() {
				n.osc.advance(n.now)
				n.osc.ppb = -1e6 + 2e6*n.rng.Float64()
				n.port.Steered(n.osc.stamp(n.now), n.osc.ppb)
			})
		}
		n.onMeasured = func(m *ptp.Measurement) {
			truth := n.osc.ahead(n.now)
			if tc.oneStep && m.DelayKnown && math.Abs(n.error(m, truth)) > 100 {
				t.Errorf("at %v: offset wrong by %.0f ns", time.Duration(n.now), n.error(m, truth))
			}
		}
		n.run(30 * time.Second)
		n.state(ptp.Slave)
		if c := n.port.Counters(); c.Rejected[ptp.ReasonCorrection] != 0 || c.Measurements < 225 || c.Delays < 20 {
			t.Errorf("%+v: %d measurements, %d delays, rejected %v", tc, c.Measurements, c.Delays, c.Rejected)
		}
	}
}

// A master behind a transparent clock is set, and nobody tells: what looks like too large corrections for a while is
// cleared up by the next path delays. A step beyond the round trip does not even look like that.
func TestMasterSetBehindTransparentClock(t *testing.T) {
	for _, shift := range []time.Duration{-time.Second, -1500 * time.Microsecond, -500 * time.Microsecond,
		500 * time.Microsecond, 1500 * time.Microsecond, time.Second} {
		n, h := transparent(t, 46, ptptest.Config{LogSyncInterval: -3}, false)
		n.run(20*time.Second - time.Millisecond)
		h.master.Faults.Shift = shift
		n.run(5 * time.Second)
		if lost := n.rejected(ptp.ReasonCorrection); lost != 0 && shift.Abs() == time.Second {
			t.Errorf("set by %v: %d rejected", shift, lost)
		}
		n.measurements = nil
		n.run(10 * time.Second)
		if len(n.measurements) < 78 {
			t.Errorf("set by %v: %d measurements, rejected %v", shift, len(n.measurements), n.port.Counters().Rejected)
		}
		for _, m := range n.measurements {
			if m.Offset != -shift {
				t.Fatalf("set by %v: offset %v", shift, m.Offset)
			}
		}
		n.state(ptp.Slave)
	}
}

// Path delays that one transparent clock on the way makes negative do not stop Sync messages that carry no correction.
func TestDelayRespCorrectedTooMuch(t *testing.T) {
	n, h := locked(t, 47)
	n.measurements = nil
	h.master.Faults.DelayCorrection = interval(t, 10*time.Millisecond)
	n.run(60 * time.Second)
	if len(n.measurements) < 59 || n.rejected(ptp.ReasonCorrection) < 30 {
		t.Errorf("%d measurements, %d rejected", len(n.measurements), n.rejected(ptp.ReasonCorrection))
	}
	n.state(ptp.Slave)
}

// Behind a transparent clock every tenth Sync is corrected by too much. It alone is lost, however many Delay_Req messages
// there are around it, and none of these gives a path delay that is a little wrong.
func TestFaultyAmongLargeCorrections(t *testing.T) {
	n, h := transparent(t, 48, ptptest.Config{LogSyncInterval: -3, LogMinDelayReqInterval: -7}, false)
	syncs := 0
	h.master.Faults.Lose = func(m wire.MessageType) bool {
		if m == wire.MessageSync {
			syncs++
			h.master.Faults.SyncCorrection = 0
			if syncs > 80 && syncs%10 == 0 { // of the next one
				h.master.Faults.SyncCorrection = interval(t, 200*time.Microsecond)
			}
		}
		return false
	}
	n.run(10 * time.Second)
	n.measurements = nil
	n.onMeasured = func(m *ptp.Measurement) {
		if m.Offset != 0 || m.HasBackward && m.PathDelay != 1000<<16 {
			t.Errorf("at %v: offset %v, delay %v", time.Duration(n.now), m.Offset, m.PathDelay.Duration())
		}
	}
	n.run(100 * time.Second)
	if got := len(n.measurements); got < 719 || got > 721 {
		t.Errorf("%d measurements of 800 Syncs", got)
	}
}
