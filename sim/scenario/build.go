// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/sim"
)

// built is a world made of a scenario.
type built struct {
	world    *sim.World
	masters  map[string]*sim.Master
	servers  map[string]*sim.Server
	hosts    []*sim.Host
	index    map[string]int // of hosts, by name
	hubs     map[string]*sim.Hub
	switches map[string]*sim.Switch
	links    map[string][]*sim.Link
}

// build makes a world: what has a name comes in the order of the file, so that nothing depends on chance but the seed.
func (s *Scenario) build(seed uint64) *built {
	b := &built{world: sim.NewWorld(seed, s.Start, s.UTCOffset), masters: map[string]*sim.Master{},
		servers: map[string]*sim.Server{}, links: map[string][]*sim.Link{}, index: map[string]int{}, hubs: map[string]*sim.Hub{},
		switches: map[string]*sim.Switch{}}
	if s.Leap.Leap != clock.NoLeap {
		b.world.InsertLeap(s.Leap.Leap)
	}
	for i := range s.Grandmasters {
		g := &s.Grandmasters[i]
		m := b.world.NewMaster(g.Name, g.config())
		g.announce(m)
		if g.wrong() {
			m.Keep(g.clock())
		}
		b.masters[g.Name] = m
	}
	for i := range s.Servers {
		v := &s.Servers[i]
		addr, _ := netip.ParseAddr(v.Address) // checked before; without one the server gets the address of its number
		b.servers[v.Name] = b.world.NewServer(v.Name, addr, append([]string{v.Name}, v.Names...)...)
		v.answer(b.servers[v.Name])
		if v.wrong() {
			b.servers[v.Name].Keep(v.clock())
		}
	}
	for i := range s.Hosts {
		b.addHosts(&s.Hosts[i])
	}
	for i := range s.Hubs {
		b.hubs[s.Hubs[i].Name] = b.world.NewHub(s.Hubs[i].Name)
	}
	for i := range s.Switches {
		v := &s.Switches[i]
		b.switches[v.Name] = b.world.NewSwitch(v.Name, sim.SwitchConfig{There: v.Residence.Program, Back: v.Back.Program,
			Transparency: v.Transparency.Transparency, Clock: v.oscillator.clock()})
	}
	for i := range s.Links {
		b.connect(s, i+1, &s.Links[i])
	}
	for i := range s.Events {
		e := &s.Events[i]
		b.world.At(e.At.d, func(int64) { e.happen(b) })
	}
	return b
}

func (b *built) addHosts(h *host) {
	for _, name := range h.names() {
		c := sim.HostConfig{Config: h.parsed, System: h.System.clock()}
		for _, p := range h.PHCs {
			c.PHCs = append(c.PHCs, sim.PHCConfig{ClockConfig: p.oscillator.clock(), Interfaces: p.Interfaces,
				Crossing: sim.CrossingConfig{Window: p.Window.Program, Asymmetry: p.Asymmetry, Before: p.Before.Program,
					After:        p.After.Program,
					ReadingNoise: p.ReadingNoise.Program, Noise: p.Noise.Program}})
		}
		n := b.world.NewHost(name, c)
		b.index[name] = len(b.hosts)
		b.hosts = append(b.hosts, n)
		b.world.At(h.Start.d, func(int64) { n.Start() })
	}
}

func (o *oscillator) clock() sim.ClockConfig {
	return sim.ClockConfig{Offset: o.Offset.d, MaxFrequency: o.MaxFrequency, Quantum: o.Quantum,
		Resolution: o.Resolution.d, StampNoise: o.StampNoise.Program,
		StampDelay: o.StampDelay.Program, StampLoss: o.StampLoss,
		Oscillator: sim.Oscillator{Update: o.Update.d, Aging: o.Aging, Wander: o.Wander, Temperature: o.Temperature,
			TemperaturePeriod: o.TemperaturePeriod.d, Expression: o.Frequency.Program, Step: o.Step.Program}}
}

// wrong reports whether there is anything that the clock does.
func (d *deviation) wrong() bool {
	return d.Offset.d != 0 || d.Wander != 0 || d.Frequency.Program != nil || d.Step.Program != nil
}

func (d *deviation) clock() sim.ClockConfig {
	return sim.ClockConfig{Offset: d.Offset.d,
		Oscillator: sim.Oscillator{Wander: d.Wander, Expression: d.Frequency.Program, Step: d.Step.Program}}
}

// Run simulates the scenario once. progress, if not nil, is told how much more of the simulated time has passed. It fails
// when the scenario's limit of events is reached, when an expression comes to an impossible value, and when ctx ends.
func (s *Scenario) Run(ctx context.Context, seed uint64, progress func(time.Duration)) (*Result, error) {
	b := s.build(seed)
	end := s.Duration.d
	b.watch(s)
	b.world.Record(end)
	b.world.Limit(s.MaxEvents)
	b.world.Interrupt(ctx.Done())
	for from := time.Duration(0); from < end; {
		to := min(end, from+min(max(end/50, time.Second), longestPart))
		if !b.world.Run(to) {
			return nil, s.ended(ctx, seed, b.world)
		}
		if progress != nil {
			progress(to - from)
		}
		from = to
	}
	return &Result{scenario: s, Seed: seed, Hosts: b.hosts}, nil
}

// watch has recorded what the hosts think of their sources for which a limit is on that.
func (b *built) watch(s *Scenario) {
	for i := range s.Limits {
		l := &s.Limits[i]
		for _, h := range b.hosts {
			if len(l.Verdicts) > 0 && len(matching(l.Host, []string{h.Name()})) > 0 {
				h.Watch()
			}
		}
	}
}

// longestPart is how much is simulated before progress is told of.
const longestPart = 1000 * time.Second

// ended says why a run has ended before its time.
func (s *Scenario) ended(ctx context.Context, seed uint64, w *sim.World) error {
	if f := w.Fault(); f != nil {
		return s.problem(seed, f)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return &Problem{File: s.file, Line: s.maxEventsLine, Key: "max_events",
		What:    fmt.Sprintf("seed %d ended after the work of %d events, at %v of %v", seed, s.MaxEvents, w.Now(), s.Duration.d),
		Allowed: fmt.Sprintf("less work, or max_events up to %d", uint64(mostEvents))}
}

// Result is what happened in one run.
type Result struct {
	scenario *Scenario
	Seed     uint64
	Hosts    []*sim.Host
}

// host returns the hosts whose names have the pattern.
func (r *Result) host(pattern string) []*sim.Host {
	var list []*sim.Host
	for _, h := range r.Hosts {
		if len(matching(pattern, []string{h.Name()})) > 0 {
			list = append(list, h)
		}
	}
	return list
}

// Title of the scenario.
func (r *Result) Title() string { return r.scenario.Title }
