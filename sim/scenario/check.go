// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"math"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/status"
)

// Bounds of what one scenario may ask for.
const (
	maxDuration = 100 * 24 * time.Hour
	maxNodes    = 256
	maxPHCs     = 16
	maxList     = 1000
	maxProblems = 20
	// maxSamples bounds what is recorded: clocks times seconds.
	maxSamples = 5_000_000
)

// checker looks for what is wrong with a scenario, and fills in defaults.
type checker struct {
	scenario *Scenario
	lines    lines
	problems []error
	names    map[string]string
	// sources and ends are what links may join.
	sources, ends []string
}

func (c *checker) add(path, what, allowed string) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems,
			&Problem{File: c.scenario.file, Line: c.lines.at(path), Key: path, What: what, Allowed: allowed})
	}
}

func (c *checker) must(ok bool, path, what, allowed string) bool {
	if !ok {
		c.add(path, what, allowed)
	}
	return ok
}

func (c *checker) check() {
	s := c.scenario
	c.names = map[string]string{}
	c.within("duration", s.Duration, time.Second, maxDuration)
	c.must(s.UTCOffset >= 0 && s.UTCOffset <= 255, "utc_offset", fmt.Sprint(s.UTCOffset), "0 to 255")
	c.must(len(s.Hosts) > 0, "host", "no host", "sections [[host]]")
	for _, l := range []struct {
		name string
		n    int
	}{{"grandmaster", len(s.Grandmasters)}, {"server", len(s.Servers)}, {"link", len(s.Links)}, {"event", len(s.Events)},
		{"limit", len(s.Limits)}} {
		c.must(l.n <= maxList, l.name, fmt.Sprintf("%d sections", l.n), fmt.Sprintf("at most %d", maxList))
	}
	for i := range s.Grandmasters {
		c.grandmaster(i, &s.Grandmasters[i])
	}
	for i := range s.Servers {
		c.server(i, &s.Servers[i])
	}
	for i := range s.Hosts {
		c.host(i, &s.Hosts[i])
	}
	if !c.total() {
		return
	}
	c.sources, c.ends = s.sources(), s.ends()
	for i := range s.Links {
		c.link(i, &s.Links[i])
	}
	if len(c.problems) == 0 {
		c.connected()
	}
	for i := range s.Events {
		c.event(i, &s.Events[i])
	}
	for i := range s.Limits {
		c.limit(i, &s.Limits[i])
	}
}

// within checks a duration.
func (c *checker) within(path string, d span, least, most time.Duration) bool {
	return c.must(d.duration() >= least && d.duration() <= most, path, d.duration().String(),
		fmt.Sprintf("%v to %v", least, most))
}

// named checks that a name is there, is one, and is the only one of its kind.
func (c *checker) named(path, name, what string) {
	if !c.must(name != "" && !strings.ContainsAny(name, "*?[]\\:/ ") && len(name) <= 64, path+".name",
		fmt.Sprintf("%q is not a name", clip(name)), "1 to 64 characters without spaces, '*', '?', '[', ':' and '/'") {
		return
	}
	c.must(c.names[name] == "", path+".name", fmt.Sprintf("%q is a %s already", name, c.names[name]), "another name")
	c.names[name] = what
}

func (c *checker) grandmaster(i int, g *grandmaster) {
	at := fmt.Sprintf("grandmaster[%d]", i)
	c.named(at, g.Name, "grandmaster")
	for _, x := range []struct {
		key string
		d   *span
	}{{"announce_interval", &g.AnnounceInterval}, {"sync_interval", &g.SyncInterval},
		{"delay_request_interval", &g.DelayRequestInterval}} {
		if *x.d == 0 {
			*x.d = span(time.Second)
		}
		c.must(ptptest.Interval(logOf(*x.d)) == x.d.duration(), at+"."+x.key, x.d.duration().String(),
			"a power of two seconds from 7.8125ms to 64s")
	}
}

// logOf returns the nearest exponent of two, of seconds.
func logOf(d span) int8 {
	return int8(min(6, max(-7, math.Round(math.Log2(max(d.duration().Seconds(), 1e-9))))))
}

func (c *checker) server(i int, s *server) {
	at := fmt.Sprintf("server[%d]", i)
	c.named(at, s.Name, "server")
	if s.Address != "" {
		_, err := netip.ParseAddr(s.Address)
		c.must(err == nil, at+".address", fmt.Sprintf("%q is not an IP address", clip(s.Address)), "such as 192.0.2.1")
	}
}

func (c *checker) host(i int, h *host) {
	at := fmt.Sprintf("host[%d]", i)
	c.named(at, h.Name, "host")
	if h.Count == 0 {
		h.Count = 1
	}
	c.must(h.Count >= 1 && h.Count <= maxNodes, at+".count", fmt.Sprint(h.Count), fmt.Sprintf("1 to %d", maxNodes))
	if h.Start == nil {
		nine := span(9 * time.Second)
		h.Start = &nine
	}
	c.within(at+".start", *h.Start, 0, maxDuration)
	c.must(len(h.PHCs) <= maxPHCs, at+".phc", fmt.Sprintf("%d sections", len(h.PHCs)), fmt.Sprintf("at most %d", maxPHCs))
	c.oscillator(at+".system", &h.System, 500_000)
	for k := range h.PHCs {
		p := &h.PHCs[k]
		path := fmt.Sprintf("%s.phc[%d]", at, k)
		c.oscillator(path, &p.oscillator, 999_999_999)
		c.must(p.Asymmetry >= -0.5 && p.Asymmetry <= 0.5, path+".asymmetry", fmt.Sprint(p.Asymmetry), "-0.5 to 0.5")
	}
	var err error
	if h.parsed, err = configs.Parse("config", []byte(h.Config)); err != nil {
		c.configProblem(i, err)
	}
}

func (c *checker) oscillator(at string, o *oscillator, maxFrequency float64) {
	if o.MaxFrequency == 0 {
		o.MaxFrequency = maxFrequency
	}
	for _, x := range []struct {
		key               string
		v, least, largest float64
	}{{"wander", o.Wander, 0, 1e6}, {"aging", o.Aging, -1e6, 1e6}, {"temperature", o.Temperature, -1e6, 1e6},
		{"max_frequency", o.MaxFrequency, 1, 1e9}, {"quantum", o.Quantum, 0, 1e6}} {
		c.must(x.v >= x.least && x.v <= x.largest, at+"."+x.key, fmt.Sprint(x.v), fmt.Sprintf("%g to %g", x.least, x.largest))
	}
	c.within(at+".resolution", o.Resolution, 0, time.Second)
	if o.Temperature != 0 && o.TemperaturePeriod == 0 {
		o.TemperaturePeriod = span(24 * time.Hour)
	}
	c.within(at+".temperature_period", o.TemperaturePeriod, 0, maxSpan)
}

// total bounds the whole.
func (c *checker) total() bool {
	nodes, clocks := len(c.scenario.Grandmasters)+len(c.scenario.Servers), 0
	for _, h := range c.scenario.Hosts {
		nodes += h.Count
		clocks += h.Count * (1 + len(h.PHCs))
	}
	ok := c.must(nodes <= maxNodes, "host", fmt.Sprintf("%d hosts, servers and grandmasters", nodes), fmt.Sprintf("at most %d", maxNodes))
	seconds := int(c.scenario.Duration.duration() / time.Second)
	return c.must(clocks == 0 || seconds <= maxSamples/clocks, "duration", fmt.Sprintf("%d s for %d clocks", seconds, clocks),
		fmt.Sprintf("at most %d s for so many clocks", maxSamples/max(clocks, 1))) && ok
}

func (c *checker) link(i int, l *link) {
	at := fmt.Sprintf("link[%d]", i)
	if l.Name == "" {
		l.Name = fmt.Sprintf("link%d", i+1)
	}
	if !c.must(l.Delay.Program != nil, at+".delay", "missing", "an expression in seconds, such as (+ 1e-4 (* 1e-5 (exponential)))") {
		return
	}
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
	}{{"from", l.From, c.sources, "grandmasters and servers"}, {"to", l.To, c.ends, "hosts and host:interface"}} {
		c.must(len(x.list) > 0, at+"."+x.key, "missing", "a list of "+x.what)
		for _, pattern := range x.list {
			c.must(len(matching(pattern, x.all)) > 0, at+"."+x.key, fmt.Sprintf("there is no %q", clip(pattern)),
				x.what+": "+strings.Join(x.all, " "))
		}
	}
}

func probability(c *checker, at string, p float64) {
	c.must(p >= 0 && p <= 1, at, fmt.Sprint(p), "0 to 1")
}

// matching returns the names that fit a pattern.
func matching(pattern string, names []string) (list []string) {
	for _, n := range names {
		if ok, err := path.Match(pattern, n); ok && err == nil {
			list = append(list, n)
		}
	}
	return list
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return len(matching(p, []string{name})) > 0 })
}

// sources are the names that a link may come from.
func (s *Scenario) sources() (names []string) {
	for _, g := range s.Grandmasters {
		names = append(names, g.Name)
	}
	for _, v := range s.Servers {
		names = append(names, v.Name)
	}
	return names
}

// hostNames are those of all hosts, where a count makes several of one.
func (h *host) names() (names []string) {
	if h.Count == 1 {
		return []string{h.Name}
	}
	for k := range h.Count {
		names = append(names, fmt.Sprintf("%s-%d", h.Name, k+1))
	}
	return names
}

// ends are the names that a link may go to.
func (s *Scenario) ends() (names []string) {
	for i := range s.Hosts {
		h := &s.Hosts[i]
		for _, n := range h.names() {
			names = append(names, n)
			if h.parsed == nil {
				continue
			}
			for _, p := range h.parsed.PTP.Ports {
				names = append(names, n+":"+p.Interface)
			}
		}
	}
	return names
}

// connected checks that each host has a way to something.
func (c *checker) connected() {
	reached := map[string]bool{}
	for _, end := range c.ends {
		host, _, _ := strings.Cut(end, ":")
		if !reached[host] {
			reached[host] = slices.ContainsFunc(c.scenario.Links, func(l link) bool { return matchesAny(l.To, end) })
		}
	}
	for i := range c.scenario.Hosts {
		for _, n := range c.scenario.Hosts[i].names() {
			if !c.must(reached[n], fmt.Sprintf("host[%d]", i), "no link leads to "+n, `a section [[link]] with to = ["`+n+`"]`) {
				return
			}
		}
	}
}

// limit checks one.
func (c *checker) limit(i int, l *Limit) {
	at := fmt.Sprintf("limit[%d]", i)
	s := c.scenario
	if l.Host == "" && len(s.Hosts) > 0 {
		l.Host = "*"
	}
	c.must(len(matching(l.Host, s.hostNames())) > 0, at+".host", fmt.Sprintf("there is no host %q", clip(l.Host)),
		strings.Join(s.hostNames(), " "))
	if l.On == 0 {
		l.On = clockID(clock.System)
	}
	for k := range s.Hosts {
		index, isPHC := clock.ID(l.On).PHCIndex()
		if len(matching(l.Host, s.Hosts[k].names())) > 0 && isPHC {
			c.must(index < len(s.Hosts[k].PHCs), at+".clock", fmt.Sprintf("%s has no ptp%d", s.Hosts[k].Name, index), "system ptp0 …")
		}
	}
	for _, x := range []struct {
		key string
		d   *span
	}{{"from", l.From}, {"to", l.To}, {"at", l.At}} {
		if x.d != nil {
			c.within(at+"."+x.key, *x.d, 0, s.Duration.duration())
		}
	}
	if l.From != nil && l.To != nil {
		c.must(*l.To >= *l.From, at+".to", l.To.duration().String(), "not before from")
	}
	known := []status.State{status.Starting, status.Acquiring, status.Locked, status.Holdover, status.Unsynchronised, status.Panicked}
	for _, want := range l.States {
		c.must(slices.Contains(known, status.State(want)), at+".states", fmt.Sprintf("%q", clip(want)), fmt.Sprint(known))
	}
	c.must(l.SyncWithin == 0 && l.Sync == 0 || l.SyncWithin > 0 && l.Sync > 0, at+".sync", "sync and sync_within belong together", "both")
	c.must(len(l.criteria()) > 0, at, "it limits nothing",
		"rms max frequency_rms frequency_max sync steps coverage bound_per_rms states sources")
}

func (s *Scenario) hostNames() (names []string) {
	for i := range s.Hosts {
		names = append(names, s.Hosts[i].names()...)
	}
	return names
}
