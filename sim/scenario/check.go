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
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

// Bounds of what one scenario may ask for.
const (
	maxDuration = 100 * 24 * time.Hour
	maxDelay    = 1000 * time.Second
	maxMargin   = 65535 * time.Second // of root delay and dispersion
	maxNodes    = 256
	maxPHCs     = 16
	maxList     = 1000
	maxProblems = 20
	// maxSamples bounds what is recorded: clocks times seconds.
	maxSamples = 5_000_000
	// maxOpinions bounds what is recorded of sources: sources times seconds.
	maxOpinions = 1_000_000
	// usualEvents and mostEvents bound the work of a run: a hundred million take two minutes.
	usualEvents = 100_000_000
	mostEvents  = 100_000_000_000
)

// checker looks for what is wrong with a scenario, and fills in defaults.
type checker struct {
	scenario *Scenario
	lines    lines
	problems []error
	names    map[string]string
	values   values
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
	if !c.within("duration", s.Duration, time.Second, maxDuration) {
		return // all other times are held against it
	}
	c.must(s.UTCOffset >= 0 && s.UTCOffset <= 255, "utc_offset", fmt.Sprint(s.UTCOffset), "0 to 255")
	c.must(s.Start.Year() >= 1970 && s.Start.Year() < 2100, "start", s.Start.Format(time.RFC3339), "1970 to 2099")
	c.must(s.MaxEvents >= 1 && s.MaxEvents <= mostEvents, "max_events", fmt.Sprint(s.MaxEvents), fmt.Sprintf("1 to %d",
		uint64(mostEvents)))
	s.maxEventsLine = c.lines.at("max_events")
	c.must(len(s.Hosts) > 0, "host", "no host", "sections [[host]]")
	if !c.sizes() {
		return
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
	for i := range s.Hubs {
		c.named(fmt.Sprintf("hub[%d]", i), s.Hubs[i].Name, "hub")
	}
	for i := range s.Switches {
		c.bridge(i, &s.Switches[i])
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

// sizes bounds how much there is of everything, before any of it is looked at.
func (c *checker) sizes() bool {
	s, before := c.scenario, len(c.problems)
	for _, l := range []struct {
		name    string
		n, most int
	}{{"grandmaster", len(s.Grandmasters), maxNodes}, {"server", len(s.Servers), maxNodes}, {"host", len(s.Hosts), maxNodes},
		{"hub", len(s.Hubs), maxNodes}, {"switch", len(s.Switches), maxNodes}, {"link", len(s.Links), maxList},
		{"event", len(s.Events), maxList}, {"limit", len(s.Limits), maxList}} {
		c.must(l.n <= l.most, l.name, fmt.Sprintf("%d sections", l.n), fmt.Sprintf("at most %d", l.most))
	}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		if h.Count == 0 && c.lines[fmt.Sprintf("host[%d].count", i)] == 0 {
			h.Count = 1
		}
		at := fmt.Sprintf("host[%d]", i)
		c.must(h.Count >= 1 && h.Count <= maxNodes, at+".count", fmt.Sprint(h.Count), fmt.Sprintf("1 to %d", maxNodes))
		c.must(len(h.PHCs) <= maxPHCs, at+".phc", fmt.Sprintf("%d sections", len(h.PHCs)), fmt.Sprintf("at most %d", maxPHCs))
	}
	return len(c.problems) == before && c.total()
}

// within checks a duration.
func (c *checker) within(path string, d span, least, most time.Duration) bool {
	return c.must(d.d >= least && d.d <= most, path, d.d.String(),
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
	c.must(g.Domain <= 127, at+".domain", fmt.Sprint(g.Domain), "0 to 127")
	c.announcement(at, &g.announcement)
	c.deviation(at, &g.deviation)
	for _, x := range []struct {
		key string
		d   *span
	}{{"announce_interval", &g.AnnounceInterval}, {"sync_interval", &g.SyncInterval},
		{"delay_request_interval", &g.DelayRequestInterval}} {
		if x.d.d == 0 && c.lines[at+"."+x.key] == 0 {
			*x.d = span{time.Second}
		}
		c.must(x.d.d > 0 && ptptest.Interval(logOf(*x.d)) == x.d.d, at+"."+x.key, x.d.d.String(),
			"a power of two seconds from 7.8125ms to 64s")
	}
}

// announcement checks what a grandmaster tells.
func (c *checker) announcement(at string, a *announcement) {
	if a.FollowUpDelay != nil {
		c.within(at+".follow_up_delay", *a.FollowUpDelay, 0, maxDelay)
	}
}

// answers checks how a server answers.
func (c *checker) answers(at string, a *answers) {
	for _, x := range []struct {
		key  string
		d    *span
		most time.Duration
	}{{"root_delay", a.RootDelay, maxMargin}, {"root_dispersion", a.RootDispersion, maxMargin},
		{"min_interval", a.MinInterval, maxDuration}} {
		if x.d != nil {
			c.within(at+"."+x.key, *x.d, 0, x.most)
		}
	}
	c.must(len(a.kiss()) == 0 || len(a.kiss()) == 4, at+".kiss", fmt.Sprintf("%q",
		clip(a.kiss())), "four characters, such as RATE or DENY")
}

// logOf returns the nearest exponent of two, of seconds.
func logOf(d span) int8 {
	return int8(min(6, max(-7, math.Round(math.Log2(max(d.d.Seconds(), 1e-9))))))
}

func (c *checker) server(i int, s *server) {
	at := fmt.Sprintf("server[%d]", i)
	c.named(at, s.Name, "server")
	if s.Address != "" {
		_, err := netip.ParseAddr(s.Address)
		c.must(err == nil, at+".address", fmt.Sprintf("%q is not an IP address", clip(s.Address)), "such as 192.0.2.1")
		for k := range i {
			c.must(c.scenario.Servers[k].Address != s.Address, at+".address",
				clip(s.Address)+" is that of "+c.scenario.Servers[k].Name, "another one")
		}
	}
	c.answers(at, &s.answers)
	c.deviation(at, &s.deviation)
}

// deviation checks how the clock of a grandmaster or server runs.
func (c *checker) deviation(at string, d *deviation) {
	c.within(at+".offset", d.Offset, -maxSpan/2, maxSpan/2)
	c.must(d.Wander >= 0 && d.Wander <= 1e6, at+".wander", fmt.Sprint(d.Wander), "0 to 1e+06")
	c.expression(at+".frequency", &d.Frequency, sim.Frequency)
	c.expression(at+".step", &d.Step, sim.Jump)
}

func (c *checker) host(i int, h *host) {
	at := fmt.Sprintf("host[%d]", i)
	c.named(at, h.Name, "host")
	if h.Count > 1 {
		for _, n := range h.names() {
			c.must(c.names[n] == "", at+".name", fmt.Sprintf("%q is a %s already", n, c.names[n]), "another name")
			c.names[n] = "host"
		}
	}
	if h.Start == nil {
		nine := span{9 * time.Second}
		h.Start = &nine
	}
	c.within(at+".start", *h.Start, 0, c.scenario.Duration.d)
	c.oscillator(at+".system", &h.System, 500_000)
	for k := range h.PHCs {
		p := &h.PHCs[k]
		path := fmt.Sprintf("%s.phc[%d]", at, k)
		c.oscillator(path, &p.oscillator, 999_999_999)
		c.must(p.Asymmetry >= -0.5 && p.Asymmetry <= 0.5, path+".asymmetry", fmt.Sprint(p.Asymmetry), "-0.5 to 0.5")
		c.expression(path+".window", &p.Window, sim.Window)
		c.expression(path+".window_before", &p.Before, sim.Window)
		c.expression(path+".window_after", &p.After, sim.Window)
		legs := p.Before.Program != nil && p.After.Program != nil && p.Window.Program == nil && p.Asymmetry == 0
		c.must(legs || p.Before.Program == nil && p.After.Program == nil, path+".window_before",
			"window_before and window_after belong together", "both, in place of window and asymmetry")
		c.expression(path+".reading_noise", &p.ReadingNoise, sim.Noise)
		c.expression(path+".crossing_noise", &p.Noise, sim.Noise)
	}
	var err error
	if h.parsed, err = configs.Parse("config", []byte(h.Config)); err != nil {
		c.configProblem(i, err)
		return
	}
	c.interfaces(at, h)
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
	c.expression(at+".frequency", &o.Frequency, sim.Frequency)
	c.expression(at+".step", &o.Step, sim.Jump)
	c.expression(at+".stamp_noise", &o.StampNoise, sim.Noise)
	c.expression(at+".stamp_delay", &o.StampDelay, sim.StampDelay)
	probability(c, at+".stamp_loss", o.StampLoss)
	if o.Update.d != 0 {
		c.within(at+".update", o.Update, time.Millisecond, time.Second)
	}
	c.within(at+".resolution", o.Resolution, 0, time.Second)
	if o.Temperature != 0 && o.TemperaturePeriod.d == 0 {
		o.TemperaturePeriod = span{24 * time.Hour}
	}
	c.within(at+".temperature_period", o.TemperaturePeriod, 0, maxSpan)
}

// total bounds the whole.
func (c *checker) total() bool {
	s := c.scenario
	nodes := len(s.Grandmasters) + len(s.Servers) + len(s.Hubs)
	for i := range s.Hosts {
		nodes += s.Hosts[i].Count
	}
	ok := c.must(nodes <= maxNodes, "host", fmt.Sprintf("%d hosts, servers, grandmasters and hubs",
		nodes), fmt.Sprintf("at most %d", maxNodes))
	most := time.Duration(maxSamples/max(s.clocks(), 1)) * time.Second
	return c.must(s.Duration.d <= most, "duration", fmt.Sprintf("%v for %d clocks", s.Duration.d, s.clocks()),
		fmt.Sprintf("at most %v for so many clocks", most)) && ok
}

// clocks counts those of all hosts.
func (s *Scenario) clocks() (n int) {
	for i := range s.Hosts {
		n += s.Hosts[i].Count * (1 + len(s.Hosts[i].PHCs))
	}
	return n
}

// samples counts what a run records.
func (s *Scenario) samples() int { return s.clocks() * int(s.Duration.d/time.Second) }

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
	for _, h := range s.Hubs {
		names = append(names, h.Name)
	}
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
	for _, h := range s.Hubs {
		names = append(names, h.Name)
	}
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

// limit checks one.
func (c *checker) limit(i int, l *Limit) {
	at := fmt.Sprintf("limit[%d]", i)
	s := c.scenario
	if l.Host == "" && len(s.Hosts) > 0 {
		l.Host = "*"
	}
	c.must(len(matching(l.Host, s.HostNames())) > 0, at+".host", fmt.Sprintf("there is no host %q", clip(l.Host)),
		strings.Join(s.HostNames(), " "))
	if l.On.ID == 0 {
		l.On.ID = clock.System
	}
	c.hasClock(at, l.Host, l.On.ID)
	for _, x := range []struct {
		key string
		d   *span
	}{{"from", l.From}, {"to", l.To}, {"at", l.At}} {
		if x.d != nil {
			c.within(at+"."+x.key, *x.d, 0, s.Duration.d)
		}
	}
	if l.From != nil && l.To != nil {
		c.must(l.To.d >= l.From.d, at+".to", l.To.d.String(), "not before from")
	}
	known := []status.State{status.Starting, status.Acquiring, status.Locked, status.Holdover, status.Unsynchronised,
		status.Panicked}
	for _, want := range l.States {
		c.must(slices.Contains(known, status.State(want)), at+".states", fmt.Sprintf("%q", clip(want)), fmt.Sprint(known))
	}
	c.must((l.SyncWithin == nil) == (l.Sync == nil), at+".sync", "sync and sync_within belong together", "both")
	for _, x := range []struct {
		key string
		d   *span
	}{{"rms", l.RMS}, {"max", l.Max}, {"sync_within", l.SyncWithin}, {"sync", l.Sync}} {
		if x.d != nil {
			c.within(at+"."+x.key, *x.d, 1, maxSpan)
		}
	}
	for _, x := range []struct {
		key  string
		v    *float64
		most float64
	}{{"frequency_rms", l.FrequencyRMS, 1e9}, {"frequency_max", l.FrequencyMax, 1e9}, {"coverage", l.Coverage, 1},
		{"bound_per_rms", l.BoundPerRMS, 1e9}} {
		if x.v != nil {
			c.must(*x.v > 0 && *x.v <= x.most, at+"."+x.key, fmt.Sprint(*x.v), fmt.Sprintf("more than 0, at most %g", x.most))
		}
	}
	c.must(l.Steps == nil || *l.Steps >= 0, at+".steps", "less than 0", "0 or more")
	c.must(l.Requests == nil || *l.Requests >= 0, at+".requests", "less than 0", "0 or more")
	c.verdicts(at, l)
	c.must(l.At == nil || l.From == nil && l.To == nil, at+".at", "an instant and a window", "at, or from and to")
	c.must(len(l.criteria()) > 0, at, "it limits nothing",
		"rms max frequency_rms frequency_max sync steps coverage bound_per_rms states sources verdicts requests")
}

// verdicts checks a limit on what hosts think of their sources, which are recorded for it.
func (c *checker) verdicts(at string, l *Limit) {
	c.must((l.Of == "") == (len(l.Verdicts) == 0), at+".verdicts", "of and verdicts belong together",
		`both, as in of = "ptp:eth0"`)
	if len(l.Verdicts) == 0 {
		return
	}
	sources := 0
	for i := range c.scenario.Hosts {
		h := &c.scenario.Hosts[i]
		if h.parsed == nil {
			continue
		}
		n := len(h.parsed.PTP.Ports) + len(h.parsed.NTP.Servers)
		for _, p := range h.parsed.NTP.Pools {
			n += p.Count
		}
		sources += n * len(matching(l.Host, h.names()))
	}
	seconds := int(c.scenario.Duration.d / time.Second)
	c.must(sources*seconds <= maxOpinions, at+".verdicts", fmt.Sprintf("%d sources for %d s", sources, seconds),
		fmt.Sprintf("at most %d seconds times sources", maxOpinions))
}

// HostNames returns the names of all hosts, in the order of the file.
func (s *Scenario) HostNames() (names []string) {
	for i := range s.Hosts {
		names = append(names, s.Hosts[i].names()...)
	}
	return names
}
