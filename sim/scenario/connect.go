// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-time/lockstep/configs"
)

// wiring is what the links of a scenario join.
type wiring struct {
	// sources counts what each grandmaster, server and hub is joined with; masters and ports are those of each hub.
	sources, masters, ports map[string]int
	// reached are the ports of hosts to which a link leads.
	reached map[hostPort]bool
	// servers are those that each host has a way to.
	servers map[string][]string
}

type hostPort struct {
	host string
	port int
}

func (w *wiring) add(j joint) {
	w.sources[j.from]++
	switch j.kind {
	case masterToPort:
		w.reached[hostPort{j.to, j.port}] = true
	case masterToHub:
		w.sources[j.to]++
		w.masters[j.to]++
	case hubToPort:
		w.reached[hostPort{j.to, j.port}] = true
		w.ports[j.from]++
	case serverToHost:
		w.servers[j.to] = append(w.servers[j.to], j.from)
	}
}

// connected checks that each link joins something, and that everything that needs a link has one.
func (c *checker) connected() {
	s := c.scenario
	w := &wiring{map[string]int{}, map[string]int{}, map[string]int{}, map[hostPort]bool{}, map[string][]string{}}
	joined := 0
	for i := range s.Links {
		at := fmt.Sprintf("link[%d]", i)
		list := s.joins(&s.Links[i])
		if joined += len(list); joined > maxJoins {
			c.add(at, fmt.Sprintf("the links join more than %d pairs", maxJoins), "fewer hosts for each source")
			return
		}
		c.must(len(list) > 0, at, "it joins nothing",
			"grandmasters with PTP ports or hubs, hubs with PTP ports, NTP servers with hosts as a whole")
		for _, j := range list {
			w.add(j)
		}
	}
	for i := range s.Grandmasters {
		c.source(w, fmt.Sprintf("grandmaster[%d]", i), s.Grandmasters[i].Name)
	}
	for i := range s.Servers {
		c.source(w, fmt.Sprintf("server[%d]", i), s.Servers[i].Name)
	}
	for i := range s.Hubs {
		n := s.Hubs[i].Name
		c.must(w.masters[n] > 0 && w.ports[n] > 0, fmt.Sprintf("hub[%d]", i),
			fmt.Sprintf("%d grandmasters and %d ports of hosts",
				w.masters[n], w.ports[n]), "1 or more of both, by sections [[link]] to and from "+n)
	}
	for i := range s.Hosts {
		c.wired(w, i, &s.Hosts[i])
	}
}

// source checks that something is joined with a source.
func (c *checker) source(w *wiring, at, name string) {
	c.must(w.sources[name] > 0, at, "no link leads from "+name, `a section [[link]] with from = ["`+name+`"]`)
}

// wired checks that hosts have a way to all that their configuration asks, and to something at all. Of several hosts the
// first one that has not is told of.
func (c *checker) wired(w *wiring, i int, h *host) {
	at := fmt.Sprintf("host[%d].config", i)
	cfg := h.parsed
	for _, n := range h.names() {
		if !c.must(len(cfg.PTP.Ports)+len(cfg.NTP.Servers)+len(cfg.NTP.Pools) > 0, at, n+" has no source",
			"sections [[ptp.port]], [[ntp.server]] and [[ntp.pool]]") {
			return
		}
		before := len(c.problems)
		for k, p := range cfg.PTP.Ports {
			c.must(w.reached[hostPort{n, k}], at, fmt.Sprintf("no link leads to the PTP port %s of %s", p.Interface, n),
				fmt.Sprintf(`a section [[link]] from a grandmaster or hub with to = ["%s:%s"]`, n, p.Interface))
		}
		for _, asked := range asked(cfg) {
			c.served(w, at, n, asked)
		}
		if len(c.problems) > before {
			return
		}
	}
}

// asked lists the addresses and names of the servers that a configuration asks.
func asked(cfg *configs.Config) (list []string) {
	for _, v := range cfg.NTP.Servers {
		list = append(list, v.Address)
	}
	for _, p := range cfg.NTP.Pools {
		list = append(list, p.Name)
	}
	return list
}

// served checks that a host has a way to a server of an address or name.
func (c *checker) served(w *wiring, at, host, asked string) {
	var all, found []string
	for i := range c.scenario.Servers {
		v := &c.scenario.Servers[i]
		answers := append([]string{v.Name}, v.Names...)
		if v.Address != "" {
			answers = append(answers, v.Address)
		}
		all = append(all, answers...)
		if slices.Contains(answers, asked) {
			found = append(found, v.Name)
		}
	}
	if !c.must(len(found) > 0, at, "there is no server "+clip(asked),
		strings.Join(all, " ")+`; a section [[server]] with dead = true for one that does not answer`) {
		return
	}
	c.must(slices.ContainsFunc(found, func(n string) bool { return slices.Contains(w.servers[host], n) }), at,
		fmt.Sprintf("no link joins %s with %s", host, clip(asked)),
		fmt.Sprintf(`a section [[link]] with from = ["%s"], to = ["%s"]`, found[0], host))
}

// interfaces checks that the configuration uses the interfaces of a host's PHCs, and that each has one PHC.
func (c *checker) interfaces(at string, h *host) {
	var used []string
	for _, p := range h.parsed.PTP.Ports {
		used = append(used, p.Interface)
	}
	for _, v := range h.parsed.NTP.Servers {
		used = append(used, v.Interface)
	}
	for _, p := range h.parsed.NTP.Pools {
		used = append(used, p.Interface)
	}
	used = slices.DeleteFunc(used, func(n string) bool { return n == "" })
	had := map[string]bool{}
	for k := range h.PHCs {
		for _, n := range h.PHCs[k].Interfaces {
			path := fmt.Sprintf("%s.phc[%d].interfaces", at, k)
			c.must(slices.Contains(used, n), path, fmt.Sprintf("nothing in the configuration uses %q",
				clip(n)), strings.Join(used, " "))
			c.must(!had[n], path, fmt.Sprintf("%q has a PHC already", clip(n)), "each interface once")
			had[n] = true
		}
	}
}
