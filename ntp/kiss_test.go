// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

var kissCodes = []string{"RATE", "DENY", "RSTR", "NKEY"}

// kissOf returns a kiss-o'-death in answer to a request.
func kissOf(request []byte, code string, poll int8) []byte {
	p, err := wire.Parse(request)
	if err != nil {
		panic(err)
	}
	h := wire.Header{Leap: wire.LeapUnknown, Version: p.Version, Mode: wire.ModeServer, Poll: poll, Origin: p.Transmit}
	copy(h.ReferenceID[:], code)
	return h.Append(nil)
}

// once forges a kiss for the next request only.
func (r *rig) once(code string) {
	r.forge = func(request []byte) []byte {
		r.forge = nil
		return kissOf(request, code, 17)
	}
}

// A kiss is ignored if the server answers the same request within a second of it, and obeyed otherwise.
func TestKissIsHeld(t *testing.T) {
	const gone = time.Hour // beyond what is looked at
	for _, code := range kissCodes {
		for _, c := range []struct {
			name string
			late time.Duration
			lie  bool
		}{
			{"at once", 0, true}, {"in time", 990 * time.Millisecond, true}, {"late", 1010 * time.Millisecond, false},
			{"never", gone, false},
		} {
			t.Run(code+" "+c.name, func(t *testing.T) {
				r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6})
				r.late = c.late
				r.once(code)
				r.start(990 * time.Millisecond)
				if s := r.client.Status(); s.Kiss != "" || s.Stopped || s.Poll != 4 || s.Refused[ntp.ErrKiss] != 1 {
					t.Errorf("before a second has passed: %+v", s)
				}
				r.run(10 * time.Second)
				s := r.client.Status()
				if c.lie {
					if len(r.samples) != 1 || s.Kiss != "" || s.Stopped || s.Poll != 4 || s.FalseKisses != 1 ||
						!slices.Equal(r.lies, []string{code}) || len(r.replaced) != 0 || s.Reach != 1 {
						t.Errorf("%d samples, lies %v, replaced %v, status %+v", len(r.samples), r.lies, r.replaced, s)
					}
					return
				}
				stopped, poll, told := code == "DENY" || code == "RSTR", int8(4), 1
				switch code {
				case "RATE": // a single one only doubles the interval
					poll, told = 5, 0
				case "NKEY":
					told = 0
				}
				if len(r.samples) != 0 || s.Kiss != code || s.Stopped != stopped || s.Poll != poll || s.FalseKisses != 0 ||
					len(r.lies) != 0 || len(r.replaced) != told {
					t.Errorf("%d samples, lies %v, replaced %v, status %+v", len(r.samples), r.lies, r.replaced, s)
				}
				if late := uint64(1); c.late < gone && s.Refused[ntp.ErrBogus] != late {
					t.Errorf("the late answer was not refused: %v", s.Refused)
				}
			})
		}
	}
}

// The answer to a request that was forged a kiss for may have to wait for the stamp of its transmission, as any other.
func TestKissAndStamps(t *testing.T) {
	for _, c := range []struct {
		lag     time.Duration
		stamped uint64
	}{{0, 1}, {20 * time.Millisecond, 1}, {80 * time.Millisecond, 0}, {-1, 0}} {
		r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
		r.stampLag = c.lag
		r.once("DENY")
		r.start(2 * time.Second)
		if s := r.client.Status(); s.Samples != 1 || s.Stamped != c.stamped || s.Stopped || s.FalseKisses != 1 {
			t.Errorf("lag %v: status %+v", c.lag, s)
		}
	}
}

// An answer that waits for its stamp is not put aside for the next kiss.
func TestKissWhileAnAnswerWaits(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4, StampTimeout: 100 * time.Millisecond})
	r.stampLag = -1
	r.forge = func(request []byte) []byte { return kissOf(request, "DENY", 4) }
	r.start(10 * time.Second)
	if s := r.client.Status(); s.Samples+2 < s.Sent || s.Stopped || s.FalseKisses < 50 {
		t.Errorf("status %+v", s)
	}
}

// A kiss that comes after the answer is a duplicate, and so is one that comes twice.
func TestKissAfterTheAnswer(t *testing.T) {
	for _, code := range kissCodes {
		r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
		r.start(time.Second)
		if err := r.client.Receive(r.now, kissOf(r.requests[0], code, 17), r.read(r.now)); !errors.Is(err, ntp.ErrDuplicate) {
			t.Errorf("%s after the answer: %v", code, err)
		}
		r.run(2 * time.Second)
		if s := r.client.Status(); s.Kiss != "" || s.Stopped || s.Poll != 4 {
			t.Errorf("%s after the answer: status %+v", code, s)
		}

		r = newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
		r.twice, r.server.Kiss = true, code
		r.start(2 * time.Second)
		if s := r.client.Status(); s.Refused[ntp.ErrKiss] != 1 || s.Refused[ntp.ErrDuplicate] != 1 || s.Kiss != code {
			t.Errorf("%s twice: status %+v", code, s)
		}
	}
}

// What is refused for another reason does not answer a request either: the true answer may come behind it.
func TestForgedRubbish(t *testing.T) {
	for _, want := range []ntp.Refusal{ntp.ErrUnsynchronised, ntp.ErrStratum, ntp.ErrServerTime} {
		r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
		r.forge = func(request []byte) []byte {
			b := kissOf(request, "", 4)
			b[1] = 16
			if want != ntp.ErrUnsynchronised {
				b[0] &= 0x3f
			}
			if want == ntp.ErrServerTime {
				b[1] = 1
			}
			return b
		}
		r.start(5 * time.Minute)
		r.wantErr(want)
		if s := r.client.Status(); s.Samples != s.Sent || s.Refused[want] != s.Sent {
			t.Errorf("%d samples of %d requests, refused %v", s.Samples, s.Sent, s.Refused)
		}
	}
}

// Somebody answers every request with a kiss before the server can. The server is not lost, nor asked less often.
func TestKissesRace(t *testing.T) {
	for _, code := range kissCodes {
		for _, c := range []struct {
			poll int8
			base time.Duration
		}{{-4, 200 * time.Microsecond}, {-4, 70 * time.Millisecond}, {0, 200 * time.Microsecond}, {0, 480 * time.Millisecond},
			{6, 10 * time.Millisecond}} {
			r := newRig(t, ntp.Config{MinPoll: c.poll, MaxPoll: c.poll, Burst: true})
			r.base = c.base
			r.forge = func(request []byte) []byte { return kissOf(request, code, 17) }
			r.start(10 * time.Minute)
			s := r.client.Status()
			if late := s.Sent - s.Samples; late > uint64(2*c.base/wire.Log2(c.poll))+1 || s.Stopped || s.Kiss != "" ||
				len(r.replaced) != 0 {
				t.Errorf("%s at poll %d: %d samples, replaced %v, status %+v", code, c.poll, len(r.samples), r.replaced, s)
			}
			if s.Refused[ntp.ErrKiss] < s.Sent-1 || s.FalseKisses == 0 || s.FalseKisses > s.Sent ||
				len(r.lies) != int(s.FalseKisses) {
				t.Errorf("%s at poll %d: %d lies told, status %+v", code, c.poll, len(r.lies), s)
			}
			if least := uint64(10 * time.Minute / wire.Log2(c.poll) * 15 / 16); s.Sent < least {
				t.Errorf("%s at poll %d: %d requests, want %d", code, c.poll, s.Sent, least)
			}
		}
	}
}

// At 62.5 ms the place of a request is taken by another one long before a kiss for it is obeyed, or its answer comes.
func TestKissOutlivesItsPlace(t *testing.T) {
	for _, c := range []struct {
		code string
		late time.Duration
		lie  bool
	}{{"DENY", 900 * time.Millisecond, true}, {"RATE", 900 * time.Millisecond, true},
		{"DENY", 1100 * time.Millisecond, false}, {"RATE", 1100 * time.Millisecond, false}} {
		r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4})
		r.once(c.code)
		r.mangle = func([]byte) { // the first answer is on its way
			r.mangle = nil
			r.after(200*time.Microsecond, func() { r.late = 0 })
		}
		r.late = c.late
		r.start(990 * time.Millisecond)
		if n := len(r.samples); n < 14 || n > 16 {
			t.Errorf("%s: %d samples while it waits", c.code, n)
		}
		r.run(time.Second)
		if s := r.client.Status(); s.Stopped || (s.Kiss == "") != c.lie || (s.FalseKisses == 1) != c.lie || c.lie &&
			s.Samples != s.Sent {
			t.Errorf("%s, answered after %v: status %+v", c.code, c.late, s)
		}
	}
}

// While a kiss waits, the requests that other kisses come for stay open.
func TestOneKissAtATime(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4})
	r.forge = func(request []byte) []byte { return kissOf(request, "DENY", 4) }
	n := 0
	r.mangle = func(b []byte) {
		if n++; n == 1 {
			b[24] ^= 1 // the answer to the first request is lost
		}
	}
	r.start(900 * time.Millisecond)
	if s := r.client.Status(); s.Samples != s.Sent-1 || s.FalseKisses != 0 || s.Stopped {
		t.Errorf("status %+v", s)
	}
	r.run(200 * time.Millisecond)
	if s := r.client.Status(); s.Kiss != "DENY" || s.Stopped {
		t.Errorf("it was ignored, or enough to stop a server that answers: status %+v", s)
	}
}

func TestKissDeny(t *testing.T) {
	for _, kiss := range []string{"DENY", "RSTR"} {
		r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 6, Burst: true})
		r.server.Kiss = kiss
		r.client.Reset(r.now)
		r.run(2 * time.Second)
		extra := 0.0
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 24, 24} {
			want *= time.Hour
			s, n := r.client.Status(), len(r.sent)
			if pause := s.Until.Sub(r.now) + 2*time.Second; !s.Stopped || s.Kiss != kiss || pause < want ||
				pause > want+want/16+2*time.Second {
				t.Fatalf("%s: after %d denials it is asked again in %v: %+v", kiss, i+1, pause, s)
			}
			extra = max(extra, float64(s.Until.Sub(r.now)-want)/float64(want))
			if len(r.replaced) != i+1 {
				t.Errorf("%s: replaced %d times", kiss, len(r.replaced))
			}
			r.client.Hint(0, 1)
			r.client.SetPoll(0)
			r.run(s.Until.Sub(r.now) - time.Millisecond)
			if !r.client.Status().Stopped {
				t.Errorf("%s: not stopped any more", kiss)
			}
			if len(r.sent) != n {
				t.Fatalf("%s: asked %d times meanwhile", kiss, len(r.sent)-n)
			}
			r.run(2 * time.Second)
			if len(r.sent) != n+1 {
				t.Fatalf("%s: asked again %d times", kiss, len(r.sent)-n)
			}
		}
		if extra < 0.01 {
			t.Errorf("%s: at most %.4f is added at random", kiss, extra)
		}
		r.server.Kiss = ""
		n := len(r.sent)
		r.run(r.client.Status().Until.Sub(r.now) + 20*time.Second)
		if s, got := r.client.Status(), len(r.sent)-n; s.Stopped || s.Until != 0 || s.Reach != 0xff || got < 18 {
			t.Errorf("%s: after it has answered: %d requests in 20 s; %+v", kiss, got, s)
		}
		r.server.Kiss = kiss
		r.run(10 * time.Second)
		if s := r.client.Status(); !s.Stopped || s.Until.Sub(r.now) > time.Hour+time.Hour/16 {
			t.Errorf("%s: after an answer it is asked again in %v", kiss, s.Until.Sub(r.now))
		}
		r.start(2 * time.Second)
		if s := r.client.Status(); !s.Stopped || s.Until.Sub(r.now) > time.Hour+time.Hour/16 {
			t.Errorf("%s: after a reset it is asked again in %v", kiss, s.Until.Sub(r.now))
		}
		r.server.Kiss = ""
		r.start(time.Minute)
		if s := r.client.Status(); s.Stopped || s.Kiss != "" || s.Reach != 0xff {
			t.Errorf("%s: after a reset: %+v", kiss, s)
		}
	}
}

// A server that has given usable answers is stopped by the third denial in a row, however many others have come.
func TestKissDenyInARow(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 4})
	n := 2 // the first answer comes
	r.forge = func(request []byte) []byte { return kissOf(request, "DENY", 4) }
	r.mangle = func(b []byte) {
		if n++; n%3 != 0 {
			b[24] ^= 1 // two of three answers are lost
		}
	}
	r.start(time.Hour)
	if s := r.client.Status(); s.Stopped || s.Samples < 3600/17/3-1 || s.FalseKisses != s.Samples {
		t.Errorf("two denials in a row: %+v", s)
	}
	n = 1
	r.mangle = func(b []byte) { b[24] ^= 1 }
	sent := len(r.sent)
	r.run(time.Minute)
	if s := r.client.Status(); !s.Stopped || len(r.sent)-sent > 4 || len(r.replaced) == 0 {
		t.Errorf("no answer for a minute: %d requests, replaced %v, %+v", len(r.sent)-sent, r.replaced, s)
	}
}

// However short the interval, a server that goes on to deny its service gets a single request each time.
func TestKissDenyAtShortIntervals(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4})
	r.server.Kiss = "DENY"
	r.start(2 * time.Second)
	n := len(r.sent)
	r.run(time.Hour + time.Hour/16 + 2*time.Second)
	if got := len(r.sent) - n; got != 1 {
		t.Errorf("asked again %d times", got)
	}
	r.server.Kiss = ""
	r.run(r.client.Status().Until.Sub(r.now) + time.Minute)
	if got := r.client.Status().Samples; got < 800 {
		t.Errorf("%d answers in the minute after it is asked again", got)
	}
}

// A server that has denied its service and then is silent is asked as any other that is silent.
func TestKissDenyThenSilence(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6})
	r.server.Kiss = "DENY"
	r.start(10 * time.Second)
	r.server.Dead = true
	r.run(2 * time.Hour)
	if s := r.client.Status(); s.Stopped || s.Sent < 40 || r.replaced[len(r.replaced)-1] != "no answer" {
		t.Errorf("replaced %v, status %+v", r.replaced, s)
	}
	r.server.Dead = false
	r.run(2 * time.Minute)
	if s := r.client.Status(); !s.Stopped || s.Until.Sub(r.now) < time.Hour+50*time.Minute {
		t.Errorf("it denies again: status %+v", s)
	}
}

// Kisses without the cookie of a request are nobody's.
func TestSpoofedKisses(t *testing.T) {
	for _, kiss := range []string{"RATE", "DENY", "RSTR"} {
		r := newRig(t, ntp.Config{MinPoll: 2, MaxPoll: 6})
		r.start(10 * time.Second)
		h := wire.Header{Version: 4, Mode: wire.ModeServer, Poll: 17, Origin: 12345}
		copy(h.ReferenceID[:], kiss)
		if err := r.client.Receive(r.now, h.Append(nil), r.read(r.now)); !errors.Is(err, ntp.ErrBogus) {
			t.Errorf("%s: %v", kiss, err)
		}
		r.run(2 * time.Second)
		if s := r.client.Status(); s.Stopped || s.Poll != 2 || s.Kiss != "" {
			t.Errorf("%s: status %+v", kiss, s)
		}
	}
}

// begin has kisses forgotten in both ways.
var begin = map[string]func(*ntp.Client, clock.Mono){"NetworkChanged": (*ntp.Client).NetworkChanged,
	"ForgetKisses": (*ntp.Client).ForgetKisses}

func TestKissesAreForgotten(t *testing.T) {
	for name, forget := range begin {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6})
			r.server.Kiss = "DENY"
			r.start(4 * time.Hour) // two denials
			forget(r.client, r.now)
			if s := r.client.Status(); s.Stopped || s.Kiss != "" {
				t.Errorf("status %+v", s)
			}
			n := len(r.sent)
			r.run(2 * time.Second)
			if s := r.client.Status(); len(r.sent) != n+1 || !s.Stopped || s.Until.Sub(r.now) > time.Hour+time.Hour/16 {
				t.Errorf("%d requests, status %+v", len(r.sent)-n, s)
			}
			r.server.Kiss = ""
			r.run(15 * time.Second)
			forget(r.client, r.now)
			r.run(time.Second)
			if s := r.client.Status(); s.Samples != 1 {
				t.Errorf("status %+v", s)
			}

			r.server.Kiss, r.server.Poll = "RATE", 17
			r.run((17 + 1 + 34 + 1) * time.Second) // two requests
			if s := r.client.Status(); s.Poll != 8 || s.Kiss != "RATE" {
				t.Errorf("poll %d, kiss %q", s.Poll, s.Kiss)
			}
			r.server.Kiss = ""
			forget(r.client, r.now)
			samples := r.client.Status().Samples
			r.run(18 * time.Second)
			if s := r.client.Status(); s.Poll != 4 || s.Kiss != "" || s.Samples == samples {
				t.Errorf("poll %d, kiss %q, %d samples", s.Poll, s.Kiss, s.Samples)
			}
		})
	}
}

// A kiss that waits is forgotten as well, and the request that it answers with it.
func TestHeldKissIsForgotten(t *testing.T) {
	begin := map[string]func(*ntp.Client, clock.Mono){"NetworkChanged": begin["NetworkChanged"],
		"ForgetKisses": begin["ForgetKisses"],
		"Stepped":      func(c *ntp.Client, _ clock.Mono) { c.Stepped() }, "Reset": (*ntp.Client).Reset}
	for name, forget := range begin {
		r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6})
		r.server.Kiss = "DENY"
		r.start(500 * time.Millisecond)
		r.server.Kiss = ""
		forget(r.client, r.now)
		r.run(17 * time.Second)
		if s := r.client.Status(); s.Stopped || s.Kiss != "" || s.Samples == 0 {
			t.Errorf("%s: status %+v", name, s)
		}
	}
}

// ForgetKisses changes nothing where there were no kisses.
func TestForgetKissesOfNone(t *testing.T) {
	r, other := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6}), newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6})
	r.client.ForgetKisses(r.now) // without a server
	for _, r := range []*rig{r, other} {
		r.start(100 * time.Second)
	}
	for range 100 {
		r.client.ForgetKisses(r.now)
		r.run(time.Second)
	}
	other.run(100 * time.Second)
	if !slices.Equal(r.sent, other.sent) {
		t.Errorf("asked at %v, else at %v", r.sent, other.sent)
	}
}

// However often the network changes, a server that sends kisses is asked once in MinPoll at most.
func TestKissesOnAFlappingLink(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR", "RATE"} {
		for name, forget := range begin {
			for _, every := range []time.Duration{10 * time.Millisecond, time.Second, 3 * time.Second} {
				r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6, Burst: true})
				r.server.Kiss = code
				r.start(10 * time.Second)
				for range 10 * time.Minute / every {
					forget(r.client, r.now)
					r.run(every)
				}
				for i, at := range r.sent[1:] {
					if gap := at.Sub(r.sent[i]); i > 0 && gap < 16*time.Second {
						t.Fatalf("%s, %s every %v: request %d came after %v", code, name, every, i+1, gap)
					}
				}
				if n := len(r.sent); n < 20 {
					t.Errorf("%s, %s every %v: %d requests", code, name, every, n)
				}
				r.server.Kiss = ""
				forget(r.client, r.now)
				r.run(30 * time.Second)
				if len(r.samples) == 0 {
					t.Errorf("%s, %s every %v: no sample without kisses", code, name, every)
				}
			}
		}
	}
}

// A server that has answered, and denies its service now, is not asked more often because a link flaps.
func TestDenialsOnAFlappingLink(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 4, MaxPoll: 6, Burst: true})
	r.start(time.Minute)
	r.server.Kiss = "DENY"
	n := len(r.sent)
	for range 40 {
		r.client.NetworkChanged(r.now)
		r.run(3 * time.Second)
	}
	if got := len(r.sent) - n; got < 3 || got > 120/16+4 { // the burst of a new link ends with the first kiss
		t.Errorf("asked %d times in 120 s", got)
	}
}

// A kiss that was a lie does not have the server asked less often after a change of the network.
func TestFalseKissAndTheNetwork(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 10, MaxPoll: 10, Burst: true})
	r.start(time.Minute)
	r.once("DENY")
	r.run(20 * time.Minute)
	n := len(r.sent)
	r.client.NetworkChanged(r.now)
	r.run(11 * time.Second)
	if got := len(r.sent) - n; r.client.Status().FalseKisses != 1 || got < 5 {
		t.Errorf("%d requests, status %+v", got, r.client.Status())
	}
}

// A port of its own for every request is no reason to wait longer for the end of a kiss.
func TestKissAndFreshPorts(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: -4, MaxPoll: -4, FreshPort: 1})
	r.server.Kiss = "DENY"
	r.start(10 * time.Second)
	if s := r.client.Status(); !s.Stopped || s.Sent > 17 || r.rebinds < 10 {
		t.Errorf("status %+v", s)
	}
}
