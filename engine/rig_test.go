// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// rig has an engine steer the system clock of a host without any network. Its sources are toys.
type rig struct {
	*Engine
	t        *testing.T
	now      clock.Mono
	measured clock.Mono
	ahead    float64 // of true time, ns
	ppb      float64 // of the clock, with its correction
	drift    float64 // of its oscillator
	rng      *rand.Rand
	toys     []*toy
	events   []status.Event
}

const rigTrue = int64(1_780_000_000e9) // true time at 0, ns since 1970 UTC

func (r *rig) read() clock.Timestamp {
	return clock.At(clock.System, rigTrue+int64(r.now)+int64(r.ahead))
}

func (r *rig) SetFrequency(_ clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	r.ppb = ppb + r.drift
	return ppb, r.read(), nil
}

func (r *rig) Step(_ clock.ID, by time.Duration) (clock.Timestamp, error) {
	at := r.read()
	r.ahead += float64(by)
	return at, nil
}

func (r *rig) Compare(_, _ clock.ID)  {}
func (r *rig) SetKernel(clock.Status) {}
func (r *rig) Event(e status.Event)   { r.events = append(r.events, e) }

// newRig returns a rig with these sources, of which kinds that come first rank higher. Each is off by Wrong.
func newRig(t *testing.T, kinds []source.Kind, toys ...*toy) *rig {
	r := &rig{t: t, now: 1, ahead: 5e6, drift: 3000, rng: rand.New(rand.NewPCG(1, 2)), toys: toys}
	r.ppb = r.drift
	r.Engine = New(Config{Graph: discipline.Config{StepThreshold: 20 * time.Microsecond, MaxSlew: 500000, Wander: 1},
		Servo: servo.NameAdaptive, Policy: source.Policy{MinSources: 1, MaxDistance: time.Second, Kinds: kinds},
		HoldoverLimit: time.Second, HoldoverMaxAge: time.Hour}, Env{Start: r.now}, r)
	for _, y := range toys {
		y.sink = r.Register(y)
	}
	r.AddClock(r.now, ClockInfo{ID: clock.System, Scale: clock.UTC, Steer: true, Hardware: true, MaxFrequency: 500000, Reading: r.read()})
	return r
}

// run lets time pass. Each source that is usable measures once a second.
func (r *rig) run(d time.Duration) {
	end := r.now.Add(d)
	for r.now < end {
		next := min(max(r.NextWake(), r.now), end, clock.Mono((int64(r.now)/1e9+1)*1e9))
		passed := next.Sub(r.now)
		r.ahead += r.ppb * passed.Seconds()
		r.now = next
		if r.NextWake() <= r.now {
			r.Wake(r.now)
		}
		if int64(r.now)%1e9 == 0 && r.now != r.measured {
			r.measured = r.now
			r.measure()
		}
	}
}

func (r *rig) measure() {
	for _, y := range r.toys {
		if y.standing.State == source.Usable {
			offset := r.ahead - float64(y.wrong) + y.noise*r.rng.NormFloat64()
			y.sink.Sample(r.now, &source.Sample{At: r.read(), Offset: int64(offset), Variance: y.noise*y.noise + 1, MaxError: y.bound,
				Interval: time.Second})
		}
	}
}

// toy is a source that is as the test has it.
type toy struct {
	info     source.Info
	standing source.Standing
	claim    timescale.Claim
	wrong    time.Duration // its time less true time
	noise    float64       // ns
	bound    time.Duration
	sink     Sink
	needs    []source.Need
	verdict  source.Verdict
	changes  []source.Change
}

// newToy returns a usable source on UTC.
func newToy(id source.ID, kind source.Kind, combinable bool, wrong time.Duration, noise float64, bound time.Duration) *toy {
	return &toy{info: source.Info{ID: id, Kind: kind, Traits: source.Traits{Combinable: combinable}},
		standing: source.Standing{State: source.Usable}, claim: timescale.Claim{Scale: clock.UTC}, wrong: wrong, noise: noise, bound: bound}
}

// lose has nothing heard of it any more.
func (y *toy) lose() {
	y.standing = source.Standing{State: source.Unreachable, Reason: source.Reason{Code: source.NoAnswer}}
}

func (y *toy) back() { y.standing = source.Standing{State: source.Usable} }

// role is the one told last.
func (y *toy) role() source.Role {
	if len(y.needs) == 0 {
		return source.Idle
	}
	return y.needs[len(y.needs)-1].Role
}

func (y *toy) Info() source.Info                          { return y.info }
func (y *toy) Standing(clock.Mono) source.Standing        { return y.standing }
func (y *toy) Claim() timescale.Claim                     { return y.claim }
func (y *toy) Need(_ clock.Mono, n source.Need)           { y.needs = append(y.needs, n) }
func (y *toy) Judged(_ clock.Mono, v source.Verdict)      { y.verdict = v }
func (y *toy) ClockChanged(_ clock.Mono, c source.Change) { y.changes = append(y.changes, c) }
func (y *toy) Wake(clock.Mono)                            {}
func (y *toy) NextWake() clock.Mono                       { return clock.Never }
func (y *toy) Describe(clock.Mono, *status.Source)        {}
