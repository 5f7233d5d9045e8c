// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

const twoServers = `
[[ntp.server]]
address = "192.0.2.1"
min_poll = "1s"
max_poll = "4s"
[[ntp.server]]
address = "192.0.2.2"
min_poll = "1s"
max_poll = "4s"
`

// TestCombinedServersDiffer has two servers tell the truth within their bounds and differ by 400 µs: the clock is kept
// between the two, as quietly as if they did not differ.
func TestCombinedServersDiffer(t *testing.T) {
	for _, law := range []string{"adaptive", "pi"} {
		t.Run(law, func(t *testing.T) {
			run := func(apart time.Duration) (mean, sd float64) {
				s := newSite(t, twoServers+"[steering]\nservo = \""+law+"\"\n", 3000*second)
				defer s.story()
				s.servers[0].Answers().RootDispersion = time.Millisecond
				s.servers[1].Answers().RootDispersion = 1200 * time.Microsecond
				s.servers[1].Shift(apart)
				s.world.Run(3000 * second)
				s.coveredBy(clock.System, 60, 2999)
				s.unstepped(20, 2999)
				a, b := s.source("ntp:192.0.2.1").State, s.source("ntp:192.0.2.2").State
				if a+b != "selectedcombined" && a+b != "combinedselected" {
					t.Errorf("the two are %s and %s", a, b)
				}
				return statistics(s.host.Samples(clock.System)[1000:3000])
			}
			_, alike := run(0)
			mean, apart := run(400 * time.Microsecond)
			t.Logf("mean %.0f ns; standard deviation %.0f ns, %.0f if they do not differ", mean, apart, alike)
			if apart > 1.25*alike+1000 {
				t.Errorf("standard deviation %.0f ns, %.0f if they do not differ", apart, alike)
			}
			if mean < 120e3 || mean > 230e3 { // root distances of 1.2 and 1.4 ms: weights of 0.58 and 0.42
				t.Errorf("off by %.0f ns, want about 170 µs", mean)
			}
		})
	}
}

func statistics(samples []sim.Sample) (mean, sd float64) {
	for _, p := range samples {
		mean += p.Error / float64(len(samples))
	}
	for _, p := range samples {
		sd += (p.Error - mean) * (p.Error - mean) / float64(len(samples))
	}
	return mean, math.Sqrt(sd)
}

// TestLeaderLostBesideCombined loses the leader of two servers that differ: the clock stays where it was, and goes over
// slowly to what is left.
func TestLeaderLostBesideCombined(t *testing.T) {
	s := newSite(t, twoServers, 3000*second)
	defer s.story()
	s.servers[1].Answers().RootDispersion = 300 * time.Microsecond
	s.servers[1].Shift(200 * time.Microsecond)
	s.at(1000*second, func() { s.ntp[0].Cut(true) })
	s.world.Run(3000 * second)
	s.follows(999, status.Locked, "ntp:192.0.2.1")
	s.follows(1100, status.Locked, "ntp:192.0.2.2")
	before := s.host.Samples(clock.System)[999].Error
	for i, p := range s.host.Samples(clock.System)[1000:1030] {
		if math.Abs(p.Error-before) > 30e3 {
			t.Errorf("%d s after the loss it has moved from %.0f to %.0f ns", i, before, p.Error)
			break
		}
	}
	if e := s.host.Samples(clock.System)[2999].Error; e < 150e3 || e > 250e3 {
		t.Errorf("at last it is off by %.0f ns, the server by 200 µs", e)
	}
	s.coveredBy(clock.System, 60, 2999)
	s.unstepped(20, 2999)
}

// TestEstimates shows what each source is estimated to be off by, and how well that is known.
func TestEstimates(t *testing.T) {
	s := newSite(t, onePort+threeServers, 3000*second)
	defer s.story()
	s.servers[1].Shift(-2 * time.Millisecond)
	s.servers[2].Drift(100)
	s.world.Run(3000 * second)
	for _, c := range []struct {
		id     string
		offset time.Duration
		ppb    float64
	}{{"ptp:eth0", 0, 0}, {"ntp:192.0.2.1", 0, 0}, {"ntp:192.0.2.2", 2 * time.Millisecond, 0},
		{"ntp:192.0.2.3", -300 * time.Microsecond, -100}} {
		e := s.source(c.id).Estimate
		if e.Samples == 0 || e.OffsetSD <= 0 || e.OffsetSD > 100*time.Microsecond || e.FrequencySD <= 0 || e.FrequencySD > 200 {
			t.Errorf("%s: %+v", c.id, e)
		}
		if (e.Offset-c.offset).Abs() > 5*e.OffsetSD || math.Abs(e.Frequency-c.ppb) > 5*e.FrequencySD {
			t.Errorf("%s: %+v, want %v and %v ppb", c.id, e, c.offset, c.ppb)
		}
		t.Logf("%s: %+v", c.id, e)
	}
}
