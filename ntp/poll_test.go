// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

func TestPollFollowsHints(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 2, MaxPoll: 5})
	miss := time.Microsecond
	r.onSample = func(*ntp.Measurement) { r.client.Hint(miss, time.Microsecond) }
	r.start(20 * time.Minute)
	if got := r.client.Status().Poll; got != 5 {
		t.Errorf("poll %d while predictions hold", got)
	}
	miss = -3 * time.Microsecond
	r.run(20 * time.Minute)
	if got := r.client.Status().Poll; got != 5 {
		t.Errorf("poll %d while predictions are fair", got)
	}
	miss = -10 * time.Microsecond
	r.run(time.Minute + 10*time.Second)
	if got := r.client.Status().Poll; got != 4 {
		t.Errorf("poll %d after two failures", got)
	}
	r.run(20 * time.Minute)
	if got := r.client.Status().Poll; got != 2 {
		t.Errorf("poll %d while predictions fail", got)
	}
}

// With the misses of an estimator the poll interval becomes as long as the clock's wander allows.
func TestPollFollowsEstimator(t *testing.T) {
	const noise = 50 * time.Microsecond // of two delays with a jitter of 100 µs each, taken together
	poll := func(wander float64) (sum int) {
		r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 12})
		r.jitter = 100 * time.Microsecond
		e := estimate.New()
		offset, frequency, last := 0.0, 2e4, r.now
		r.onSample = func(s *ntp.Measurement) {
			dt := r.now.Sub(last).Seconds()
			last = r.now
			offset += frequency * dt
			frequency += wander * math.Sqrt(dt) * r.rng.NormFloat64()
			base, est := e.At(int64(r.now))
			miss := offset + float64(s.Offset) - float64(base) - est.Offset
			if e.Known() {
				r.client.Hint(time.Duration(miss), noise)
			}
			if e.Observe(estimate.Observation{Time: int64(r.now), Offset: int64(offset) + int64(s.Offset),
				Variance: float64(noise) * float64(noise)}) == estimate.Jumped {
				e.Forget()
			}
		}
		r.client.Reset(r.now)
		for range 10 {
			r.run(10 * time.Hour)
			sum += int(r.client.Status().Poll)
		}
		return sum
	}
	calm, restless := poll(0.1), poll(100)
	if calm < 105 || restless > 75 {
		t.Errorf("mean polls %.1f for a calm clock, %.1f for a restless one", float64(calm)/10, float64(restless)/10)
	}
}

func TestPollIsSetWithinLimits(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 2, MaxPoll: 10})
	r.start(time.Minute)
	for _, c := range []struct{ set, want int8 }{{9, 9}, {17, 10}, {-4, 2}} {
		r.client.SetPoll(c.set)
		if got := r.client.Status(); got.Poll != c.want || got.Interval != wire.Log2(c.want) {
			t.Errorf("set to %d: poll %d, interval %v", c.set, got.Poll, got.Interval)
		}
	}
	r.client.SetPoll(10)
	r.run(10 * time.Second)
	r.client.SetPoll(2)
	n := len(r.sent)
	r.run(5 * time.Second)
	if len(r.sent) == n {
		t.Error("no request soon after the interval was shortened")
	}
}

func TestUnreachable(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 10})
	r.start(time.Minute)
	r.client.SetPoll(8)
	r.server.Dead = true
	r.run(time.Hour)
	s := r.client.Status()
	if s.Reach != 0 || s.Poll != 6 || len(r.replaced) == 0 || r.replaced[0] != "no answer" {
		t.Errorf("reach %#x, poll %d, replaced %v", s.Reach, s.Poll, r.replaced)
	}
	r.server.Dead, r.server.Leap = false, wire.LeapUnknown
	n := len(r.replaced)
	r.run(20 * time.Minute)
	if len(r.replaced) == n || r.replaced[len(r.replaced)-1] != "no usable answer: server is not synchronised" {
		t.Errorf("replaced %v", r.replaced)
	}
	r.server.Leap = wire.LeapNone
	r.run(80 * time.Second)
	if s := r.client.Status(); s.Poll != 0 || s.Reach != 0xff {
		t.Errorf("poll %d, reach %#x after the server came back", s.Poll, s.Reach)
	}
}

// A server that is dead from the start is given up in seconds, and asked no more often for it.
func TestDeadFromTheStart(t *testing.T) {
	for _, err := range []error{nil, errors.New("network is unreachable")} {
		r := newRig(t, ntp.Config{MinPoll: 6, MaxPoll: 10, Burst: true})
		r.server.Dead, r.sendErr = true, err
		r.start(10 * time.Second)
		if len(r.replaced) != 1 {
			t.Errorf("replaced %v", r.replaced)
		}
		r.run(time.Hour)
		if n := len(r.sent); n > 64 {
			t.Errorf("%d requests in an hour", n)
		}
		if s := r.client.Status(); (s.SendErrors > 0) != (err != nil) || s.Reach != 0 {
			t.Errorf("status %+v", s)
		}
	}
}

func TestFreshPorts(t *testing.T) {
	for _, c := range []struct {
		poll        int8
		fresh       time.Duration
		most, least int
	}{{0, 0, 0, 0}, {3, 0, 0, 0}, {4, 0, 38, 35}, {6, 0, 10, 9}, {6, -1, 0, 0}, {1, time.Second, 301, 280}} {
		r := newRig(t, ntp.Config{MinPoll: c.poll, MaxPoll: max(c.poll, 1), FreshPort: c.fresh})
		r.start(10 * time.Minute)
		if r.rebinds > c.most || r.rebinds < c.least {
			t.Errorf("poll %d, limit %v: %d ports", c.poll, c.fresh, r.rebinds)
		}
	}
}

func TestNetworkChanged(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 10, MaxPoll: 10, Burst: true})
	r.start(time.Minute)
	n, ports := len(r.sent), r.rebinds
	r.client.NetworkChanged(r.now)
	r.run(3 * time.Second)
	if len(r.sent) < n+2 || r.rebinds <= ports {
		t.Errorf("%d requests, %d ports after a change of the network", len(r.sent)-n, r.rebinds-ports)
	}
	n = len(r.sent)
	for range 10_000 { // a flapping link
		r.client.NetworkChanged(r.now)
		r.run(10 * time.Millisecond)
	}
	if got := len(r.sent) - n; got > 52 {
		t.Errorf("%d requests in 100 s of a flapping link", got)
	}
}

// The address that the socket was bound to is gone: the kernel refuses to send until there is another socket.
func TestSendErrorsTakeAnotherPort(t *testing.T) {
	for _, poll := range []int8{-4, 0, 3} {
		r := newRig(t, ntp.Config{MinPoll: poll, MaxPoll: poll})
		r.start(time.Minute)
		if r.rebinds != 0 {
			t.Fatalf("%d rebinds while all is well", r.rebinds)
		}
		r.sendErr = errors.New("invalid argument")
		r.onRebind = func() { r.sendErr = nil }
		n := len(r.samples)
		r.run(3*wire.Log2(poll) + 3*time.Second)
		if len(r.samples) == n || r.rebinds != 1 {
			t.Errorf("poll %d: %d samples, %d rebinds", poll, len(r.samples)-n, r.rebinds)
		}
		r.sendErr, r.onRebind = errors.New("network is unreachable"), nil
		before := r.rebinds
		r.run(time.Minute)
		if got := r.rebinds - before; got < 6 || got > 31 {
			t.Errorf("poll %d: %d rebinds in a minute without a network", poll, got)
		}
	}
}

// TestSocketThatIsBeingMade sends each request when its socket is there, and the next one no sooner after it than otherwise.
func TestSocketThatIsBeingMade(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
	r.opening = 3 * time.Second
	r.start(10 * time.Minute)
	if n := len(r.samples); n < 28 || n > 38 || n != len(r.sent) {
		t.Errorf("%d samples of %d requests", n, len(r.sent))
	}
	for i, at := range r.sent {
		if gap := at.Sub(r.sent[max(i-1, 0)]); i > 0 && gap < 16*time.Second {
			t.Errorf("request %d came %v after the one before", i, gap)
		}
	}
	if s := r.client.Status(); s.SendErrors != 0 || s.Reach != 0xff {
		t.Errorf("status %+v", s)
	}
	r.openErr = errors.New("too many open files")
	sent, before := len(r.sent), r.client.Status().SendErrors
	r.run(time.Minute)
	if s := r.client.Status(); len(r.sent) != sent || s.SendErrors-before < 3 || s.SendErrors-before > 4 {
		t.Errorf("%d requests without a socket, %d errors", len(r.sent)-sent, s.SendErrors-before)
	}
	r.openErr = nil
	r.run(time.Minute)
	if len(r.sent) == sent {
		t.Error("no request once a socket can be had")
	}
}

// TestSocketForNobody is there when the client that waited for it has been reset.
func TestSocketForNobody(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
	r.opening = time.Second
	r.start(500 * time.Millisecond)
	r.client.Reset(r.now)
	r.client.Connected(r.now, nil)
	if len(r.sent) != 0 {
		t.Error("a request was sent that the client before the reset has meant to send")
	}
	r.client.Connected(r.now, errors.New("too late"))
	if s := r.client.Status(); s.SendErrors != 0 {
		t.Error("an error of a socket that nobody waits for was counted")
	}
}
