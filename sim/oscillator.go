// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// Oscillator says what makes a clock run wrong. Its frequency error is the sum of all parts, and is constant within each
// second of true time, as in the peers' simulations, or within each Update.
type Oscillator struct {
	// Update is how long the frequency error stays as it is; 0 is a second.
	Update time.Duration
	// Frequency error at the start, and its growth by Aging, in ppb and ppb per day.
	Frequency, Aging float64
	// Wander is the random walk of the frequency, in ppb per root second.
	Wander float64
	// Temperature has the frequency swing by so many ppb to either side, once in TemperaturePeriod.
	Temperature       float64
	TemperaturePeriod time.Duration
	// Expression, if not nil, gives a frequency error in seconds per second, once an Update.
	Expression *expr.Program
	// Step, if not nil, gives seconds by which somebody sets the clock, once an Update.
	Step *expr.Program
}

// course is an oscillator at work.
type course struct {
	Oscillator
	rng  *rand.Rand
	expr *quantity
	step *quantity
	vars expr.Vars
	walk float64
}

func (w *World) newCourse(o Oscillator, rng *rand.Rand) *course {
	if o.Update == 0 {
		o.Update = time.Second
	}
	return &course{Oscillator: o, rng: rng, expr: w.quantity(o.Expression, Frequency, rng), step: w.quantity(o.Step, Jump, rng)}
}

// next returns the frequency error, as a ratio, in the second or Update that begins at a true time.
func (c *course) next(begin int64) float64 {
	t := float64(begin) / 1e9
	ppb := c.Frequency + c.Aging*t/86400 + c.walk
	if c.Temperature != 0 && c.TemperaturePeriod > 0 {
		ppb += c.Temperature * math.Sin(2*math.Pi*t/c.TemperaturePeriod.Seconds())
	}
	if c.Wander > 0 {
		c.walk += c.Wander * math.Sqrt(c.Update.Seconds()) * c.rng.NormFloat64()
	}
	ratio := ppb / 1e9
	if c.expr != nil {
		c.vars.Time = t
		ratio += c.expr.next(&c.vars)
	}
	return max(-maxOwn, min(maxOwn, ratio))
}

const (
	// maxOwn bounds the frequency error of an oscillator.
	maxOwn = 0.2
	// maxStep bounds the steps of an expression, in seconds.
	maxStep = 366 * 86400
)

// ClockConfig describes a clock of a host.
type ClockConfig struct {
	Oscillator
	// Offset from the true time of its scale at the start.
	Offset time.Duration
	// MaxFrequency that it takes and Quantum of its frequency, in ppb.
	MaxFrequency, Quantum float64
	// Resolution of its readings and timestamps.
	Resolution time.Duration
	// StampNoise, if not nil, is added to each timestamp of a packet, in seconds.
	StampNoise *expr.Program
	// StampDelay, if not nil, is how long after a packet has left its timestamp is there, in seconds, in place of 20 µs, and
	// StampLoss the probability that it never comes.
	StampDelay *expr.Program
	StampLoss  float64
}

// Clock is a simulated clock.
type Clock struct {
	id    clock.ID
	scale clock.Scale
	world *World
	cfg   ClockConfig
	run   *course
	noise *quantity
	delay *quantity // of stamps
	lost  *rand.Rand

	at   int64   // true time that the state holds for
	ns   int64   // what it reads, and
	frac float64 // the fraction of a nanosecond beyond it, in [0, 1)
	own  float64 // frequency error of the oscillator, as a ratio
	ppb  float64 // correction in force
	rate float64 // of both, beyond 1
	next int64   // when the oscillator changes
	// leap armed in the kernel, for when the clock reads leapAt
	leap    clock.Leap
	leapFor clock.Leap // that was armed, until NoLeap is asked for
	leapAt  int64
	steps   int
}

func (w *World) newClock(name string, id clock.ID, scale clock.Scale, cfg ClockConfig) *Clock {
	c := &Clock{id: id, scale: scale, world: w, cfg: cfg, run: w.newCourse(cfg.Oscillator, w.rand(name+" oscillator")),
		ns: w.scaled(scale, 0) + int64(cfg.Offset)}
	c.noise = w.quantity(cfg.StampNoise, Noise, w.rand(name+" stamps"))
	c.delay = w.quantity(cfg.StampDelay, StampDelay, w.rand(name+" stamp delays"))
	c.lost = w.rand(name + " lost stamps")
	c.begin()
	w.clocks = append(w.clocks, c)
	return c
}

// begin draws the frequency for another second, or Update.
func (c *Clock) begin() {
	c.world.work++
	c.own = c.run.next(c.next)
	if c.run.step != nil {
		c.run.vars.Time = float64(c.next) / 1e9
		c.ns += int64(math.Round(c.run.step.next(&c.run.vars) * 1e9))
	}
	c.next += int64(c.run.Update)
	c.setRate()
}

func (c *Clock) setRate() { c.rate = (1+c.own)*(1+c.ppb/1e9) - 1 }

// advance brings the clock to a true time; one that has passed changes nothing.
func (c *Clock) advance(t int64) {
	for c.next <= t {
		c.pass(c.next)
		c.begin()
	}
	c.pass(t)
	if c.leap != clock.NoLeap && c.ns >= c.leapAt {
		c.endDay()
	}
}

func (c *Clock) pass(t int64) {
	dt := t - c.at
	if dt <= 0 {
		return
	}
	c.at = t
	more := c.rate*float64(dt) + c.frac
	floor := math.Floor(more)
	c.ns += dt + int64(floor)
	c.frac = more - floor
}

// endDay does what the kernel does at the end of a day with a leap second.
func (c *Clock) endDay() {
	c.ns -= int64(c.leap) * int64(time.Second)
	c.leap = clock.NoLeap
}

// arm has the kernel carry out a leap second at the end of the UTC day.
func (c *Clock) arm(l clock.Leap) {
	const day = 86400 * int64(time.Second)
	c.leap, c.leapFor, c.leapAt = l, l, (c.ns/day+1)*day
	if l == clock.LeapDelete {
		c.leapAt -= int64(time.Second)
	}
}

// read returns what the clock shows at a true time, in whole units of its resolution.
func (c *Clock) read(t int64) clock.Timestamp {
	c.advance(t)
	return clock.At(c.id, c.rounded(c.ns))
}

func (c *Clock) rounded(ns int64) int64 {
	if r := int64(c.cfg.Resolution); r > 1 {
		return ns - ns%r
	}
	return ns
}

// stamp returns the timestamp of a packet that passes now.
func (c *Clock) stamp(t int64) clock.Timestamp {
	c.advance(t)
	ns := c.ns
	if c.noise != nil {
		c.run.vars.Time = float64(t) / 1e9
		ns += nanoseconds(c.noise.next(&c.run.vars))
	}
	return clock.At(c.id, c.rounded(ns))
}

// stampDelay draws how long the stamp of a packet that is sent now keeps its sender waiting, in ns; not ok if for ever.
func (c *Clock) stampDelay() (ns int64, ok bool) {
	if c.cfg.StampLoss > 0 && c.lost.Float64() < c.cfg.StampLoss {
		return 0, false
	}
	if c.delay == nil {
		return stampDelay, true
	}
	c.run.vars.Time = float64(c.world.now) / 1e9
	return nanoseconds(c.delay.next(&c.run.vars)), true
}

// ahead returns by how many ns the clock is ahead of true time now; one that is nil has true time.
func (c *Clock) ahead() int64 {
	if c == nil {
		return 0
	}
	c.advance(c.world.now)
	return c.ns - c.world.scaled(c.scale, c.world.now)
}

// setFrequency sets the correction and returns the one that the clock can do.
func (c *Clock) setFrequency(t int64, ppb float64) float64 {
	c.advance(t)
	if q := c.cfg.Quantum; q > 0 {
		ppb = math.Round(ppb/q) * q
	}
	c.ppb = max(-c.cfg.MaxFrequency, min(c.cfg.MaxFrequency, ppb))
	c.setRate()
	return c.ppb
}

// Step moves the clock at a true time; a host steers by it, and a scenario plays an operator who sets a clock. As the
// kernel does, a clock that is set forgets when its leap second was to be.
func (c *Clock) Step(t time.Duration, d time.Duration) {
	c.advance(int64(t))
	c.ns += int64(d)
	c.leapAt = never
}

// Error returns how far the clock is ahead of true time, in ns, and how much too fast it runs, in ppb.
func (c *Clock) Error(t time.Duration) (ns, ppb float64) {
	c.advance(int64(t))
	return float64(c.ns-c.world.scaled(c.scale, int64(t))) + c.frac, c.rate * 1e9
}
