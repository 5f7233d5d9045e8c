// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-time/lockstep/sim"
)

// hub is a shared segment.
type hub struct {
	Name string `toml:"name"`
}

// bridge is a switch on the way of links.
type bridge struct {
	Name string `toml:"name"`
	// Residence is how long packets stay in seconds, in the direction of the links; Back the other way, as Residence if not
	// given.
	Residence    expression   `toml:"residence"`
	Back         expression   `toml:"back"`
	Transparency transparency `toml:"transparent"`
	oscillator
}

// transparency is "none", "one-step" or "two-step".
type transparency struct{ sim.Transparency }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *transparency) UnmarshalText(b []byte) error {
	switch string(b) {
	case "none":
		t.Transparency = sim.Opaque
	case "one-step":
		t.Transparency = sim.OneStep
	case "two-step":
		t.Transparency = sim.TwoStep
	default:
		return wrong(b, "%q is not a kind of transparent clock: none, one-step, two-step", clip(string(b)))
	}
	return nil
}

// Bounds of a network.
const (
	// maxJoins is how many pairs the links of a scenario may join, maxThrough how many switches one may go through.
	maxJoins   = 10_000
	maxThrough = 64
)

// joint is a pair of things that a link joins.
type joint struct {
	from, to string
	kind     jointKind
	port     int // of a host, in its configuration
}

type jointKind uint8

const (
	masterToPort jointKind = iota
	masterToHub
	hubToPort
	serverToHost
)

// joins returns what a link joins: masters with the ports of hosts and with hubs, hubs with ports, servers with hosts, in
// the order of the file.
func (s *Scenario) joins(l *link) (list []joint) {
	ports, hosts := s.reached(l)
	for i := range s.Grandmasters {
		from := s.Grandmasters[i].Name
		if !matchesAny(l.From, from) {
			continue
		}
		for _, p := range ports {
			list = append(list, joint{from, p.to, masterToPort, p.port})
		}
		for k := range s.Hubs {
			if matchesAny(l.To, s.Hubs[k].Name) {
				list = append(list, joint{from, s.Hubs[k].Name, masterToHub, 0})
			}
		}
	}
	for i := range s.Servers {
		if from := s.Servers[i].Name; matchesAny(l.From, from) {
			for _, h := range hosts {
				list = append(list, joint{from, h, serverToHost, 0})
			}
		}
	}
	for i := range s.Hubs {
		if from := s.Hubs[i].Name; matchesAny(l.From, from) {
			for _, p := range ports {
				list = append(list, joint{from, p.to, hubToPort, p.port})
			}
		}
	}
	return list
}

// reached returns the ports and the hosts that a link goes to.
func (s *Scenario) reached(l *link) (ports []joint, hosts []string) {
	for i := range s.Hosts {
		h := &s.Hosts[i]
		for _, name := range h.names() {
			whole := matchesAny(l.To, name)
			if whole {
				hosts = append(hosts, name)
			}
			if h.parsed == nil {
				continue
			}
			for k, p := range h.parsed.PTP.Ports {
				if whole || matchesAny(l.To, name+":"+p.Interface) {
					ports = append(ports, joint{to: name, port: k})
				}
			}
		}
	}
	return ports, hosts
}

func (c *checker) bridge(i int, b *bridge) {
	at := fmt.Sprintf("switch[%d]", i)
	c.named(at, b.Name, "switch")
	c.oscillator(at, &b.oscillator, 1)
	if c.must(b.Residence.Program != nil, at+".residence", "missing",
		"an expression in seconds, such as (* 2e-5 (exponential))") {
		c.expression(at+".residence", &b.Residence, sim.Delay)
	}
	c.expression(at+".back", &b.Back, sim.Delay)
	if b.Back.Program == nil {
		b.Back = b.Residence
	}
	used := slices.ContainsFunc(c.scenario.Links, func(l link) bool { return slices.Contains(l.Through, b.Name) })
	c.must(used, at, "no link goes through "+b.Name, `through = ["`+b.Name+`"] in a section [[link]]`)
}

func (c *checker) link(i int, l *link) {
	at := fmt.Sprintf("link[%d]", i)
	if l.Name == "" {
		l.Name = fmt.Sprintf("link%d", i+1)
	}
	if !c.must(l.Delay.Program != nil, at+".delay", "missing",
		"an expression in seconds, such as (+ 1e-4 (* 1e-5 (exponential)))") {
		return
	}
	c.expression(at+".delay", &l.Delay, sim.Delay)
	c.expression(at+".back", &l.Back, sim.Delay)
	c.expression(at+".correction", &l.Correction, sim.Correction)
	if l.Back.Program == nil {
		l.Back = l.Delay
	}
	probability(c, at+".loss", l.Loss)
	probability(c, at+".duplicate", l.Duplicate)
	for _, x := range []struct {
		key  string
		list []string
		all  []string
		what string
	}{{"from", l.From, c.sources, "grandmasters, servers and hubs"}, {"to", l.To, c.ends, "hosts, host:interface and hubs"}} {
		c.must(len(x.list) > 0 && len(x.list) <= maxNodes, at+"."+x.key, fmt.Sprintf("%d names", len(x.list)),
			fmt.Sprintf("a list of 1 to %d %s", maxNodes, x.what))
		for _, pattern := range x.list[:min(len(x.list), maxNodes)] {
			c.must(len(matching(pattern, x.all)) > 0, at+"."+x.key, fmt.Sprintf("there is no %q", clip(pattern)),
				x.what+": "+strings.Join(x.all, " "))
		}
	}
	c.must(len(l.Through) <= maxThrough, at+".through", fmt.Sprintf("%d switches", len(l.Through)), fmt.Sprintf("at most %d",
		maxThrough))
	for _, name := range l.Through {
		known := slices.ContainsFunc(c.scenario.Switches, func(b bridge) bool { return b.Name == name })
		c.must(known, at+".through", fmt.Sprintf("there is no switch %q", clip(name)), strings.Join(c.scenario.switchNames(), " "))
	}
}

func (s *Scenario) switchNames() (names []string) {
	for i := range s.Switches {
		names = append(names, s.Switches[i].Name)
	}
	return names
}

func probability(c *checker, at string, p float64) {
	c.must(p >= 0 && p <= 1, at, fmt.Sprint(p), "0 to 1")
}

// connect joins what a link joins. number is that of the link in the file, from 1.
func (b *built) connect(s *Scenario, number int, l *link) {
	path := sim.PathConfig{Delay: l.Delay.Program, Correction: l.Correction.Program, Loss: l.Loss, Duplicate: l.Duplicate,
		Subnet: float64(number)}
	there, back := path, path
	back.Delay = l.Back.Program
	var through []*sim.Switch
	for _, name := range l.Through {
		through = append(through, b.switches[name])
	}
	for _, j := range s.joins(l) {
		var made *sim.Link
		switch j.kind {
		case masterToPort:
			made = b.hosts[b.index[j.to]].Connect(j.port, b.masters[j.from], there, back, through...)
		case masterToHub:
			made = b.masters[j.from].Attach(b.hubs[j.to], there, back, through...)
		case hubToPort:
			made = b.hosts[b.index[j.to]].Attach(j.port, b.hubs[j.from], there, back, through...)
		case serverToHost:
			made = b.hosts[b.index[j.to]].Route(b.servers[j.from], there, back, through...)
		}
		b.links[l.Name] = append(b.links[l.Name], made)
	}
}
