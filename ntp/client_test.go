// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

func TestClientMeasures(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4, Burst: true})
	r.offset, r.ppb, r.jitter = 80*time.Millisecond, 40_000, 300*time.Microsecond
	r.server.Stratum, r.server.RootDelay, r.server.RootDispersion = 2, 3*time.Millisecond, time.Millisecond
	r.server.Leap = wire.LeapInsert
	r.onSample = func(s *ntp.Measurement) {
		at := clock.Mono(s.At.Nanoseconds() - r.epoch - int64(r.error(r.now)))
		miss := s.Offset - r.error(at)
		if miss.Abs() > s.Delay/2+time.Nanosecond {
			t.Errorf("offset is wrong by %v, delay %v", miss, s.Delay)
		}
		if least := 2 * r.base; s.Delay < least {
			t.Errorf("delay %v is less than %v", s.Delay, least)
		}
		if root := 2500 * time.Microsecond; s.MaxError < root+s.Delay/2 || s.MaxError > root+s.Delay/2+50*time.Microsecond {
			t.Errorf("maximum error %v, delay %v", s.MaxError, s.Delay)
		}
		if s.Uncertainty <= 0 || s.Uncertainty > s.MaxError {
			t.Errorf("uncertainty %v", s.Uncertainty)
		}
		if s.At.Clock() != clock.System || s.Stratum != 2 || s.Leap != clock.LeapInsert {
			t.Errorf("sample %+v", s)
		}
	}
	r.start(200 * time.Second)
	if n := len(r.samples); n < 15 || n > 18 {
		t.Fatalf("%d samples", n)
	}
	for i, at := range r.sent[1:] {
		gap, want := at.Sub(r.sent[i]), 16*time.Second
		if i < 5 {
			want = 2 * time.Second
		}
		if gap < want || gap > want+want/16 {
			t.Errorf("request %d came after %v", i+1, gap)
		}
	}
	s := r.client.Status()
	if s.Reach != 0xff || s.Samples != uint64(len(r.samples)) || s.Stamped != s.Samples || s.Refused.Total() != 0 ||
		s.Sent != s.Received || s.Header.Stratum != 2 || s.Interval != 16*time.Second || s.Stopped {
		t.Errorf("status %+v", s)
	}
}

// A stamp that comes before the answer, after it, or never.
func TestClientTransmitStamps(t *testing.T) {
	for _, c := range []struct {
		lag           time.Duration
		stamped       bool
		late          time.Duration
		strays, delay time.Duration
	}{
		{lag: 0, stamped: true, delay: 400 * time.Microsecond},
		{lag: 20 * time.Millisecond, stamped: true, delay: 400 * time.Microsecond, late: 20 * time.Millisecond},
		{lag: 80 * time.Millisecond, delay: 407 * time.Microsecond, late: 50 * time.Millisecond, strays: 1},
		{lag: -1, delay: 407 * time.Microsecond, late: 50 * time.Millisecond},
	} {
		r := newRig(t, ntp.Config{})
		r.stampLag = c.lag
		r.start(time.Second)
		if len(r.samples) != 1 {
			t.Fatalf("lag %v: %d samples", c.lag, len(r.samples))
		}
		s, status := r.samples[0], r.client.Status()
		if s.Delay != c.delay {
			t.Errorf("lag %v: delay %v", c.lag, s.Delay)
		}
		if (status.Stamped == 1) != c.stamped || status.StrayStamps != uint64(c.strays) {
			t.Errorf("lag %v: %d stamped, %d strays", c.lag, status.Stamped, status.StrayStamps)
		}
		if late := r.taken[0].Sub(r.sent[0]); late < c.late || late > c.late+time.Millisecond {
			t.Errorf("lag %v: sample after %v", c.lag, late)
		}
	}
}

func TestClientUncertainty(t *testing.T) {
	get := func(lag time.Duration) []ntp.Measurement {
		r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 0, Burst: true, Precision: 100})
		r.stampLag, r.jitter = lag, 50*time.Microsecond
		r.start(4 * time.Minute)
		return r.samples
	}
	stamped, user := get(0), get(-1)
	if len(stamped) < 8 || len(user) < 8 {
		t.Fatalf("%d and %d samples", len(stamped), len(user))
	}
	if first, last := stamped[0].Uncertainty, stamped[len(stamped)-1].Uncertainty; first < last {
		t.Errorf("the first sample is trusted more, %v, than the last, %v", first, last)
	}
	for _, s := range user {
		if s.Uncertainty < 20*time.Microsecond {
			t.Errorf("uncertainty %v without a stamp", s.Uncertainty)
		}
	}
}

// Requests carry nothing of this host (RFC 9109, and data minimisation).
func TestClientRequestsSayNothing(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4})
	r.start(10 * time.Second)
	seen := make(map[string]bool)
	for _, b := range r.requests {
		want := make([]byte, wire.HeaderLen)
		want[0], want[3] = 4<<3|3, 32
		copy(want[40:], b[40:])
		if !bytes.Equal(b, want) {
			t.Fatalf("request % x", b)
		}
		if cookie := string(b[40:]); seen[cookie] || cookie == string(make([]byte, 8)) {
			t.Fatal("cookie repeated or zero")
		} else {
			seen[cookie] = true
		}
	}
	if len(seen) < 140 {
		t.Errorf("%d requests", len(seen))
	}
}

func TestClientRefuses(t *testing.T) {
	put := func(at int, v uint64) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) }
	}
	set := func(at int, v byte) func([]byte) { return func(b []byte) { b[at] = v } }
	for _, c := range []struct {
		name   string
		mangle func([]byte)
		want   ntp.Refusal
	}{
		{"mode", set(0, 4<<3|5), ntp.ErrMode},
		{"version", set(0, 2<<3|4), ntp.ErrVersion},
		{"origin", put(24, 12345), ntp.ErrBogus},
		{"no origin", put(24, 0), ntp.ErrBogus},
		{"leap", set(0, 3<<6|4<<3|4), ntp.ErrUnsynchronised},
		{"stratum 16", set(1, 16), ntp.ErrStratum},
		{"stratum 255", set(1, 255), ntp.ErrStratum},
		{"root delay", put(4, 0x0004_0000<<32), ntp.ErrRootDistance},
		{"root dispersion", put(4, 0x0002_0000), ntp.ErrRootDistance},
		{"precision", set(3, 127), ntp.ErrRootDistance},
		{"no receive", put(32, 0), ntp.ErrServerTime},
		{"no transmit", put(40, 0), ntp.ErrServerTime},
		{"transmit before receive", put(40, uint64(wire.TimestampAt(0))), ntp.ErrServerTime},
		{"set in the future", put(16, uint64(wire.TimestampAt(unix("2027-01-01T00:00:00Z")))), ntp.ErrServerTime},
		{"held longer than away", put(32, uint64(wire.TimestampAt(unix("2026-02-28T00:00:00Z")))), ntp.ErrDelay},
		{"unknown kiss", func(b []byte) { copy(b[12:], "NKEY"); b[1] = 0 }, ntp.ErrKiss},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
			r.mangle = c.mangle
			r.start(50 * time.Second)
			r.wantErr(c.want)
			if len(r.samples) != 0 {
				t.Errorf("%d samples", len(r.samples))
			}
			s := r.client.Status()
			if s.Reach != 0 || s.Refused.Total() != s.Refused[c.want] {
				t.Errorf("reach %#x, refused %v", s.Reach, s.Refused)
			}
		})
	}
}

func TestClientRefusesMalformedPackets(t *testing.T) {
	r := newRig(t, ntp.Config{})
	for _, c := range []struct {
		octets int
		want   ntp.Refusal
	}{{0, ntp.ErrShort}, {wire.HeaderLen - 1, ntp.ErrShort}, {wire.MaxLen + 1, ntp.ErrLong},
		{wire.HeaderLen + 8, ntp.ErrExtension}} {
		before := r.client.Status().Refused[c.want]
		err := r.client.Receive(r.now, make([]byte, c.octets), r.read(r.now))
		if !errors.Is(err, c.want) || r.client.Status().Refused[c.want] != before+1 {
			t.Errorf("%d octets: %v, want %v", c.octets, err, c.want)
		}
	}
}

func TestClientRefusesReplays(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 1})
	r.twice, r.jitter = true, 100*time.Microsecond
	var old []byte
	r.mangle = func(b []byte) {
		if old == nil {
			old = bytes.Clone(b)
		}
	}
	r.start(100 * time.Second)
	r.wantErr(ntp.ErrDuplicate)
	if s := r.client.Status(); s.Samples != s.Sent || s.Refused[ntp.ErrDuplicate] != s.Sent {
		t.Errorf("%d samples and %d duplicates of %d requests", s.Samples, s.Refused[ntp.ErrDuplicate], s.Sent)
	}
	if err := r.client.Receive(r.now, old, r.read(r.now)); !errors.Is(err, ntp.ErrBogus) {
		t.Errorf("replay of the first answer: %v", err)
	}
}

// Whatever strangers send, the run is the same as without it.
func TestClientFlood(t *testing.T) {
	run := func(flood bool) *rig {
		r := newRig(t, ntp.Config{MinPoll: 2, MaxPoll: 2, Burst: true})
		r.jitter = time.Millisecond
		other := rand.New(rand.NewPCG(5, 6))
		r.client.Reset(r.now)
		for range 20_000 {
			if flood {
				b := make([]byte, other.IntN(120))
				for i := range b {
					b[i] = byte(other.Uint32())
				}
				if len(b) > 0 && other.IntN(2) == 0 {
					b[0] = 4<<3 | 4
				}
				if err := r.client.Receive(r.now, b, r.read(r.now)); err == nil {
					t.Fatalf("taken: % x", b)
				}
				r.client.Transmitted(r.now, other.Uint32()|1<<31, r.read(r.now))
			}
			r.run(time.Millisecond)
		}
		return r
	}
	quiet, flooded := run(false), run(true)
	if d := cmp.Diff(quiet.samples, flooded.samples, cmp.AllowUnexported(clock.Timestamp{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(quiet.client.Status(), flooded.client.Status(),
		cmpopts.IgnoreFields(ntp.Status{}, "Received", "Refused", "StrayStamps")); d != "" {
		t.Error(d)
	}
	if len(quiet.samples) == 0 {
		t.Error("no samples")
	}
}

func TestClientForeignClock(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4, Clock: clock.PHC(0)})
	r.start(40 * time.Second)
	r.wantErr(ntp.ErrClock)
	if s := r.client.Status(); s.Samples != 0 || s.StrayStamps != s.Sent {
		t.Errorf("status %+v", s)
	}
	r.id = clock.PHC(0)
	r.run(40 * time.Second)
	if len(r.samples) == 0 || r.samples[0].At.Clock() != clock.PHC(0) {
		t.Errorf("samples %v", r.samples)
	}
}

func TestClientStepped(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
		told bool
		want ntp.Refusal
	}{
		{"told", -time.Hour, true, ntp.ErrBogus},
		{"forward", time.Hour, false, ntp.ErrClock},
		{"back", -time.Hour, false, ntp.ErrDelay},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
			r.start(15 * time.Second)
			r.mangle = func([]byte) {
				r.mangle = nil
				r.offset += c.step
				if c.told {
					r.client.Stepped()
				}
			}
			r.run(20 * time.Second)
			r.wantErr(c.want)
			r.run(20 * time.Second)
			if n := len(r.samples); n != 3 {
				t.Fatalf("%d samples", n)
			}
			if d := r.samples[2].Offset - r.samples[0].Offset - c.step; d.Abs() > time.Millisecond {
				t.Errorf("offset after the step is wrong by %v", d)
			}
		})
	}
}

func TestClientEras(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
	r.epoch = unix("2036-02-07T06:27:30Z")
	r.offset = -30 * time.Second
	r.start(100 * time.Second)
	if len(r.samples) < 5 {
		t.Fatalf("%d samples", len(r.samples))
	}
	for _, s := range r.samples {
		if (s.Offset + 30*time.Second).Abs() > time.Millisecond {
			t.Errorf("offset %v across the end of era 0", s.Offset)
		}
	}

	// A clock that starts in 1970, in the year 2090.
	r = newRig(t, ntp.Config{Pivot: unix("2060-01-01T00:00:00Z")})
	r.epoch = unix("2090-01-01T00:00:00Z")
	r.offset = -time.Duration(r.epoch)
	r.start(time.Second)
	if len(r.samples) != 1 || (r.samples[0].Offset-r.offset).Abs() > time.Millisecond {
		t.Errorf("samples %+v", r.samples)
	}
}

// A server that is further away than the interval between requests.
func TestClientDistantServer(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4})
	r.base = 70 * time.Millisecond
	r.start(10 * time.Second)
	if s := r.client.Status(); s.Samples < 140 || s.Refused.Total() != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestClientSameSeedSameRun(t *testing.T) {
	run := func() *rig {
		r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 6, Burst: true})
		r.loss, r.jitter = 0.2, time.Millisecond
		r.onSample = func(*ntp.Measurement) { r.client.Hint(1, 2) }
		r.start(time.Hour)
		return r
	}
	a, b := run(), run()
	if d := cmp.Diff(a.samples, b.samples, cmp.AllowUnexported(clock.Timestamp{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(a.requests, b.requests); d != "" {
		t.Error(d)
	}
}

func FuzzClientReceive(f *testing.F) {
	h := wire.Header{Version: 4, Mode: wire.ModeServer, Stratum: 1, Precision: -20}
	h.Receive, h.Transmit = wire.TimestampAt(unix("2026-03-01T00:00:01Z")), wire.TimestampAt(unix("2026-03-01T00:00:01.1Z"))
	f.Add(h.Append(nil), int64(1e6), false)
	f.Add(h.Append(nil), int64(-1<<63), true)
	for _, kiss := range []string{"RATE", "DENY", "NTSN"} {
		k := h
		k.Stratum = 0
		copy(k.ReferenceID[:], kiss)
		f.Add(k.Append(nil), int64(1<<63-1), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, t4 int64, stamp bool) {
		r := newRig(t, ntp.Config{})
		r.stampLag, r.loss = -1, 1
		r.start(time.Second)
		if len(b) >= 32 { // the server's answer, not a stranger's
			b = bytes.Clone(b)
			copy(b[24:], r.requests[0][40:])
		}
		if stamp {
			r.client.Transmitted(r.now, 0, clock.At(clock.System, t4))
		}
		err := r.client.Receive(r.now, b, clock.At(clock.System, r.trueTime(r.now)^t4))
		r.run(time.Second)
		s := r.client.Status()
		if (err == nil) != (s.Refused.Total() == 0 || s.Refused[ntp.ErrClock]+s.Refused[ntp.ErrDelay]+
			s.Refused[ntp.ErrRootDistance] == 1 && !stamp) {
			t.Fatalf("error %v, refused %v", err, s.Refused)
		}
		for _, m := range r.samples {
			if m.Delay < 0 || m.Uncertainty <= 0 || m.MaxError <= 0 || m.MaxError > 1500*time.Millisecond {
				t.Fatalf("sample %+v", m)
			}
		}
		if next := r.client.NextWake(); next <= r.now {
			t.Fatalf("wants to be woken at %d, now is %d", next, r.now)
		}
	})
}
