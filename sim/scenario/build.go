// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/sim"
)

// built is a world made of a scenario.
type built struct {
	world   *sim.World
	masters map[string]*sim.Master
	servers map[string]*sim.Server
	hosts   []*sim.Host
	links   map[string][]*sim.Link
}

// build makes a world: what has a name comes in the order of the file, so that nothing depends on chance but the seed.
func (s *Scenario) build(seed uint64) *built {
	b := &built{world: sim.NewWorld(seed, s.Start, s.UTCOffset), masters: map[string]*sim.Master{},
		servers: map[string]*sim.Server{}, links: map[string][]*sim.Link{}}
	if s.Leap != 0 {
		b.world.InsertLeap(clock.Leap(s.Leap))
	}
	for i := range s.Grandmasters {
		g := &s.Grandmasters[i]
		m := b.world.NewMaster(g.Name, g.config())
		g.announce(m)
		b.masters[g.Name] = m
	}
	for i := range s.Servers {
		v := &s.Servers[i]
		addr, _ := netip.ParseAddr(v.Address) // checked before; without one the server gets the address of its number
		b.servers[v.Name] = b.world.NewServer(v.Name, addr, append([]string{v.Name}, v.Names...)...)
		v.answer(b.servers[v.Name])
	}
	for i := range s.Hosts {
		b.addHosts(&s.Hosts[i])
	}
	for i := range s.Links {
		b.connect(s, &s.Links[i])
	}
	for i := range s.Events {
		e := &s.Events[i]
		b.world.At(e.At.duration(), func(int64) { e.happen(b) })
	}
	return b
}

func (b *built) addHosts(h *host) {
	for _, name := range h.names() {
		c := sim.HostConfig{Config: h.parsed, System: h.System.clock()}
		for _, p := range h.PHCs {
			c.PHCs = append(c.PHCs, sim.PHCConfig{ClockConfig: p.oscillator.clock(), Interfaces: p.Interfaces,
				Crossing: sim.CrossingConfig{Window: p.Window.Program, Asymmetry: p.Asymmetry,
					ReadingNoise: p.ReadingNoise.Program, Noise: p.Noise.Program}})
		}
		n := b.world.NewHost(name, c)
		b.hosts = append(b.hosts, n)
		b.world.At(h.Start.duration(), func(int64) { n.Start() })
	}
}

func (o *oscillator) clock() sim.ClockConfig {
	return sim.ClockConfig{Offset: o.Offset.duration(), MaxFrequency: o.MaxFrequency, Quantum: o.Quantum,
		Resolution: o.Resolution.duration(), StampNoise: o.StampNoise.Program,
		Oscillator: sim.Oscillator{Aging: o.Aging, Wander: o.Wander, Temperature: o.Temperature,
			TemperaturePeriod: time.Duration(o.TemperaturePeriod), Expression: o.Frequency.Program}}
}

// connect joins every source with every end that a link names.
func (b *built) connect(s *Scenario, l *link) {
	there := sim.PathConfig{Delay: l.Delay.Program, Loss: l.Loss, Duplicate: l.Duplicate}
	back := sim.PathConfig{Delay: l.Back.Program, Loss: l.Loss, Duplicate: l.Duplicate}
	for _, from := range s.sources() {
		if !matchesAny(l.From, from) {
			continue
		}
		for _, h := range b.hosts {
			if v := b.servers[from]; v != nil && matchesAny(l.To, h.Name()) {
				b.links[l.Name] = append(b.links[l.Name], h.Route(v, there, back))
			}
			for port, iface := range h.Interfaces() {
				if m := b.masters[from]; m != nil && (matchesAny(l.To, h.Name()) || matchesAny(l.To, h.Name()+":"+iface)) {
					b.links[l.Name] = append(b.links[l.Name], h.Connect(port, m, there, back))
				}
			}
		}
	}
}

// Run simulates the scenario once. progress, if not nil, is told how much more of the simulated time has passed.
func (s *Scenario) Run(seed uint64, progress func(time.Duration)) *Result {
	const parts = 50
	b := s.build(seed)
	end := s.Duration.duration()
	b.world.Record(end)
	for i := range parts {
		from, to := end*time.Duration(i)/parts, end*time.Duration(i+1)/parts
		b.world.Run(to)
		if progress != nil {
			progress(to - from)
		}
	}
	return &Result{scenario: s, Seed: seed, Hosts: b.hosts}
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
