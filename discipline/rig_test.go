// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
)

const (
	second = time.Second
	utc    = 37
	epoch  = int64(1_780_000_000e9) // TAI at the start, ns
)

var errBroken = errors.New("broken")

// oscillator is a clock of a rig.
type oscillator struct {
	scale   clock.Scale
	ns      int64
	frac    float64
	error   float64 // of its frequency, ppb
	wander  float64 // ppb per root second
	applied float64 // ppb
	quantum float64
	sets    int // of its frequency
	broken  bool
}

// rig is a host with clocks, of which pairs are compared, and a source, in virtual time. It is the graph's actuator.
type rig struct {
	*testing.T
	graph  *Graph
	cfg    Config
	rng    *rand.Rand
	now    clock.Mono
	clocks map[clock.ID]*oscillator
	order  []clock.ID    // in which they advance
	pairs  [][2]clock.ID // that are compared at each interval
	spread int64         // a crossing is off by that at most, ns
	// what the source measures, its noise (ns, standard deviation) and by how much it lies, ns; 0: it is silent
	measures clock.ID
	noise    float64
	lie      int64
	events   []string
	steps    int
}

var phc = clock.PHC(0)

// newRig returns a host with a PHC and a system clock.
func newRig(t *testing.T, change func(*Config)) *rig {
	r := emptyRig(t, 1, change)
	r.has(clock.System, &oscillator{scale: clock.UTC, ns: epoch - utc*1e9 + 80e6, error: -30000, wander: 1})
	r.has(phc, &oscillator{scale: clock.TAI, ns: epoch - 60e9, error: 20000, wander: 1})
	r.pairs = [][2]clock.ID{{phc, clock.System}}
	return r
}

// emptyRig returns a host without clocks, with a source of the first PHC.
func emptyRig(t *testing.T, seed uint64, change func(*Config)) *rig {
	r := &rig{T: t, rng: rand.New(rand.NewPCG(seed, 1)), now: clock.Mono(time.Hour), measures: phc, noise: 20,
		clocks: map[clock.ID]*oscillator{},
		cfg: Config{StepThreshold: 20 * time.Microsecond, PanicThreshold: 1000 * second, MaxSlew: 5e5, Wander: 1,
			Interval: 125 * time.Millisecond}}
	if change != nil {
		change(&r.cfg)
	}
	r.graph = New(r.cfg, r)
	r.graph.SetUTCOffset(utc, true)
	return r
}

// has gives the host a clock.
func (r *rig) has(id clock.ID, c *oscillator) {
	r.clocks[id] = c
	r.order = append(r.order, id)
	r.add(id)
}

func (r *rig) add(id clock.ID) {
	c := r.clocks[id]
	r.graph.Add(r.now, Info{ID: id, Scale: c.scale, Servo: servo.NewAdaptive(), MaxFrequency: 5e5, Frequency: c.applied,
		Quantum: c.quantum, Reading: clock.At(id, c.ns)})
}

// true returns what a perfect clock of the scale shows, and error how far the clock is ahead of it, in ns.
func (r *rig) true(s clock.Scale) int64 {
	tai := epoch + int64(r.now) - int64(time.Hour)
	if s == clock.UTC {
		return tai - utc*1e9
	}
	return tai
}

func (r *rig) error(id clock.ID) float64 {
	c := r.clocks[id]
	return float64(c.ns-r.true(c.scale)) + c.frac
}

// SetFrequency implements Actuator.
func (r *rig) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	c := r.clocks[id]
	if c.broken {
		return 0, clock.Timestamp{}, errBroken
	}
	if c.quantum > 0 {
		ppb = math.Round(ppb/c.quantum) * c.quantum
	}
	c.applied = ppb
	c.sets++
	return ppb, clock.At(id, c.ns), nil
}

// Step implements Actuator.
func (r *rig) Step(id clock.ID, d time.Duration) (clock.Timestamp, error) {
	at := clock.At(id, r.clocks[id].ns)
	r.clocks[id].ns += int64(d)
	r.steps++
	return at, nil
}

// Changed implements Actuator.
func (r *rig) Changed(id clock.ID, what Change, _ time.Duration) {
	names := [...]string{"stepped", "locked", "lost", "jumped", "panicked"}
	r.events = append(r.events, fmt.Sprintf("%v %s", id, names[what]))
}

func (r *rig) saw(event string) bool {
	for _, e := range r.events {
		if e == event {
			return true
		}
	}
	return false
}

const grain = 31250 * time.Microsecond // a quarter of Config.Interval

// run lets time pass, with a crossing at each interval and a sample at each second.
func (r *rig) run(d time.Duration) {
	for end := r.now.Add(d); r.now < end; {
		r.advance()
		if r.graph.NextWake() <= r.now {
			r.graph.Tick(r.now)
		}
		since := time.Duration(r.now) - time.Hour
		if since%r.cfg.Interval == 0 {
			r.cross()
		}
		if since%second == 0 && r.measures != 0 {
			r.sample()
		}
	}
}

func (r *rig) advance() {
	r.now = r.now.Add(grain)
	for _, id := range r.order {
		c := r.clocks[id]
		rate := (1+c.error/1e9)*(1+c.applied/1e9) - 1
		more := c.frac + rate*float64(grain)
		c.ns += int64(grain) + int64(math.Floor(more))
		c.frac = more - math.Floor(more)
		c.error += c.wander * math.Sqrt(grain.Seconds()) * r.rng.NormFloat64()
	}
}

func (r *rig) cross() {
	for _, p := range r.pairs {
		a, b := r.clocks[p[0]].ns, r.clocks[p[1]].ns
		if r.spread > 0 {
			a += r.rng.Int64N(2*r.spread+1) - r.spread
		}
		r.graph.Cross(r.now, clock.Crossing{A: clock.At(p[0], a), B: clock.At(p[1], b), Uncertainty: 250, Method: clock.Extended})
	}
}

func (r *rig) measurement() source.Sample {
	c := r.clocks[r.measures]
	off := c.ns - r.true(c.scale) + r.lie + int64(r.noise*r.rng.NormFloat64())
	return source.Sample{At: clock.At(r.measures, c.ns), Offset: off,
		Variance: r.noise*r.noise + 1, MaxError: time.Duration(4*r.noise) + 100, Interval: time.Second}
}

func (r *rig) sample() { r.graph.Sample(r.now, r.measurement()) }

// locked starts to follow the source and runs until both clocks are locked.
func (r *rig) locked() *rig {
	r.Helper()
	r.graph.Follow(r.now, r.measures)
	r.run(30 * second)
	if !r.graph.Locked(r.now) {
		r.Fatalf("not locked after 30 s: %v", r.events)
	}
	return r
}

// worst lets time pass in seconds and returns the largest error of a clock at their ends.
func (r *rig) worst(id clock.ID, d time.Duration) (most float64) {
	for range d / second {
		r.run(second)
		most = max(most, math.Abs(r.error(id)))
	}
	return most
}

func (r *rig) within(id clock.ID, most float64, d time.Duration) {
	r.Helper()
	if e := r.worst(id, d); e > most {
		r.Errorf("%v is up to %.0f ns off, want %.0f", id, e, most)
	}
}
