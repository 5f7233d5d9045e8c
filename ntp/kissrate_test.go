// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

func TestKissRate(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 6, Burst: true})
	r.server.MinInterval = 7 * time.Second
	r.start(100 * time.Second)
	s := r.client.Status()
	if s.Kiss != "RATE" || s.Poll != 2 && s.Poll != 3 || s.Stopped {
		t.Errorf("kiss %q, poll %d", s.Kiss, s.Poll)
	}
	r.run(12 * time.Hour)
	// It is tried whether half of the interval will do after 8, 16, 32 and then 64 answers each.
	if s := r.client.Status(); s.Refused[ntp.ErrKiss] > s.Samples/50 || s.Poll != 2 && s.Poll != 3 {
		t.Errorf("%d kisses and %d answers; poll %d", s.Refused[ntp.ErrKiss], s.Samples, s.Poll)
	}
	if len(r.replaced) != 0 {
		t.Errorf("replaced: %v", r.replaced)
	}
	r.server.MinInterval = 0
	r.run(30 * time.Minute)
	if s := r.client.Status(); s.Poll != 0 {
		t.Errorf("poll %d after the server limits nothing any more", s.Poll)
	}
	// What was tried too early before does not count for ever, nor after it is forgotten.
	for range 2 {
		r.server.Kiss = "RATE"
		r.run(2100 * time.Millisecond)
		r.server.Kiss = ""
		if s := r.client.Status(); s.Poll != 1 {
			t.Errorf("poll %d after a RATE", s.Poll)
		}
		r.run(25 * time.Second)
		if s := r.client.Status(); s.Poll != 0 {
			t.Errorf("poll %d after eight answers", s.Poll)
		}
		r.server.MinInterval = 7 * time.Second
		r.run(2 * time.Hour)
		r.server.MinInterval = 0
		r.client.ForgetKisses(r.now)
		r.run(2 * time.Second)
	}
}

// A server that has asked for longer intervals and is silent for a while is asked as often as before in the end.
func TestKissRateThenSilence(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 6})
	r.server.Kiss, r.server.Poll = "RATE", 17
	r.start(5 * time.Second) // two requests
	r.server.Kiss, r.server.Dead = "", true
	r.run(5 * 256 * time.Second)
	if s := r.client.Status(); s.Poll != 8 || s.Sent != 6 {
		t.Errorf("poll %d, %d requests", s.Poll, s.Sent)
	}
	r.server.Dead = false
	r.run(3 * time.Hour)
	if s := r.client.Status(); s.Poll != 0 || s.Reach != 0xff {
		t.Errorf("poll %d, reach %#x", s.Poll, s.Reach)
	}
}

// However long an interval a server asks for, and however often, it is asked at four times MaxPoll.
func TestKissRateIsLimited(t *testing.T) {
	for _, c := range []struct{ min, max, says, want int8 }{
		{0, 4, 17, 6}, {0, 6, 17, 8}, {0, 6, 127, 8}, {0, 12, 17, 14}, {0, 6, -128, 8}, {0, 16, 17, 17}, {17, 17, 0, 17},
		{-4, -4, 17, -2},
	} {
		r := newRig(t, ntp.Config{MinPoll: c.min, MaxPoll: c.max})
		r.server.Kiss, r.server.Poll = "RATE", c.says
		r.start(time.Hour + 5*wire.Log2(c.want))
		if s := r.client.Status(); s.Poll != c.want || s.Stopped || s.Kiss != "RATE" {
			t.Errorf("asked for %d: poll %d, status %+v", c.says, s.Poll, s)
		}
	}
}

// RATE wears off: from four times MaxPoll on the interval is halved after every eight answers.
func TestKissRateWearsOff(t *testing.T) {
	for _, miss := range []time.Duration{3, 10} { // predictions are fair, or fail
		kissRateWearsOff(t, miss)
	}
}

func kissRateWearsOff(t *testing.T, miss time.Duration) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 4})
	r.start(20 * time.Second)
	r.server.Kiss, r.server.Poll = "RATE", 17
	for r.client.Status().Poll < 2 {
		r.run(100 * time.Millisecond)
	}
	r.server.Kiss = ""
	if s := r.client.Status(); s.Poll != 6 || len(r.replaced) != 1 {
		t.Errorf("poll %d, replaced %v", s.Poll, r.replaced)
	}
	r.client.SetPoll(0)
	var polls []int8
	r.onSample = func(*ntp.Measurement) {
		r.client.Hint(miss, 1)
		polls = append(polls, r.client.Status().Poll)
	}
	r.run(20 * time.Minute)
	var want []int8
	for poll := int8(5); poll >= 1; poll-- { // each is told with the last answer at the one before
		for range 8 {
			want = append(want, poll)
		}
	}
	if len(polls) < 60 || !slices.Equal(polls[7:47], want) || polls[6] != 6 || polls[47] != 0 || polls[len(polls)-1] != 0 {
		t.Errorf("polls %v", polls)
	}
}

// The server's wish does not change by itself what the interval would be without it.
func TestKissRateAndHints(t *testing.T) {
	r := newRig(t, ntp.Config{MinPoll: 0, MaxPoll: 4})
	r.server.Kiss, r.server.Poll = "RATE", 17
	r.start(2 * time.Second)
	r.server.Kiss = ""
	r.onSample = func(*ntp.Measurement) { r.client.Hint(10, 1) } // predictions fail
	r.run(30 * time.Minute)
	if s := r.client.Status(); s.Poll != 0 {
		t.Errorf("poll %d while predictions fail", s.Poll)
	}
	r.server.Kiss = "RATE"
	r.run(3 * time.Second)
	r.server.Kiss = ""
	r.onSample = func(*ntp.Measurement) { r.client.Hint(1, 1) } // predictions hold
	r.run(2 * time.Hour)
	if s := r.client.Status(); s.Poll != 4 {
		t.Errorf("poll %d while predictions hold", s.Poll)
	}
}
