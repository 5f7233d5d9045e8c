// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/source"
)

// pool is one server or pool of the configuration: a name, and the servers that it stands for.
type pool struct {
	engine *Engine
	index  int
	many   bool // its name stands for any number of servers, as good as each other
	core   *ntp.Pool
	slots  []*association
}

// association is one NTP server.
type association struct {
	tracked
	engine    *Engine
	index     int // among all associations
	slot      int // of its pool
	pool      *pool
	cfg       configs.Association
	core      *ntp.Client
	stamps    clock.ID // by which its messages are timestamped
	connected bool
	server    netip.AddrPort
	stratum   int
	leap      clock.Leap
	polled    time.Duration // the interval at the last sample
	lies      lies
	useless   string     // why, as told last
	forged    clock.Mono // when a forged kiss-o'-death was told of last, 0 if it was not
}

// lies are what a server of a pool has been outvoted with in a row.
type lies struct {
	since   clock.Mono
	counted uint64 // samples up to the last one counted
	n       int
	told    bool // the pool has been told
}

func (e *Engine) addPools() {
	directory := ntp.NewDirectory()
	for _, s := range e.cfg.NTP.Servers {
		e.addPool(directory, s.Address, 1, s.Association).many = false
	}
	for _, p := range e.cfg.NTP.Pools {
		e.addPool(directory, p.Name, p.Count, p.Association)
	}
}

func (e *Engine) addPool(d *ntp.Directory, name string, size int, cfg configs.Association) *pool {
	p := &pool{engine: e, index: len(e.pools), many: true}
	p.core = ntp.NewPool(ntp.PoolConfig{Name: name, Port: cfg.Port, Size: size}, d, e.generator(), p)
	for i := range size {
		c := &association{engine: e, index: len(e.clients), slot: i, pool: p, cfg: cfg, stamps: clock.System}
		number := ""
		if size > 1 {
			number = fmt.Sprintf("#%d", i+1)
		}
		id := e.unused("ntp:"+name+number, fmt.Sprintf("ntp:%s:%d%s", name, cfg.Port, number))
		c.tracked = tracked{id: id, kind: source.NTP, name: name, clock: clock.System, relate: true,
			options: source.Options{Prefer: cfg.Prefer, Trust: cfg.Trust, NoSelect: cfg.NoSelect}}
		c.core = c.client(e.generator())
		p.slots = append(p.slots, c)
		e.clients = append(e.clients, c)
		e.sources = append(e.sources, &c.tracked)
	}
	e.pools = append(e.pools, p)
	return p
}

// client returns the protocol's part of the association.
func (c *association) client(rng *rand.Rand) *ntp.Client {
	return ntp.NewClient(ntp.Config{MinPoll: c.cfg.LogMinPoll(), MaxPoll: c.cfg.LogMaxPoll(), Burst: c.cfg.Burst,
		Clock: c.stamps, MaxRootDistance: c.engine.cfg.Selection.MaxDistance}, rng, c)
}

// AssociationClock tells by which clock the messages of association n are timestamped from now on: a PHC where its NIC
// can stamp NTP, the system clock where the kernel does and at the start.
func (e *Engine) AssociationClock(now clock.Mono, n int, id clock.ID) {
	e.now = now
	c := e.clients[n]
	if c.stamps == id {
		return
	}
	c.reset()
	c.stamps, c.clock = id, id
	c.core = c.client(e.generator())
	if c.connected {
		_ = e.driver.Connect(c.index, c.server) // each request tries again
		c.core.Reset(now)
	}
	e.soon(now)
}

// Associations returns how many servers are asked at most.
func (e *Engine) Associations() int { return len(e.clients) }

// AssociationInterface returns the interface that association n has to be bound to, empty for any.
func (e *Engine) AssociationInterface(n int) string { return e.clients[n].cfg.Interface }

// Resolved hands over the addresses of pool n's name, or why there are none.
func (e *Engine) Resolved(now clock.Mono, n int, addrs []netip.Addr, err error) {
	e.now = now
	e.pools[n].core.Resolved(now, addrs, err)
}

// NTPReceived hands over a datagram for association n; ts is when it came, zero if that is not known.
func (e *Engine) NTPReceived(now clock.Mono, n int, b []byte, ts clock.Timestamp) {
	e.now = now
	if c := e.clients[n]; c.connected {
		_ = c.core.Receive(now, b, ts) // what is refused, and why, the client counts
	}
}

// NTPTransmitted tells when the request left for which SendNTP returned id.
func (e *Engine) NTPTransmitted(now clock.Mono, n int, id uint32, ts clock.Timestamp) {
	e.now = now
	e.clients[n].core.Transmitted(now, id, ts)
}

// NetworkChanged tells that a link came up or an address changed: servers may be reachable again, and kisses-o'-death that
// came the way that the network was before are forgotten.
func (e *Engine) NetworkChanged(now clock.Mono) {
	e.now = now
	for _, p := range e.pools {
		p.core.NetworkChanged(now)
	}
	for _, c := range e.clients {
		if c.connected {
			c.core.NetworkChanged(now)
		}
	}
}

// ForgetKisses has the servers asked as if none had ever sent a kiss-o'-death: those that have denied their service are
// asked again soon, and those that have asked for longer intervals at the configured ones. The others notice nothing.
func (e *Engine) ForgetKisses(now clock.Mono) {
	e.now = now
	for _, c := range e.clients {
		if c.connected {
			c.core.ForgetKisses(now)
		}
	}
}

// Resolve implements ntp.PoolOutput.
func (p *pool) Resolve(name string) { p.engine.driver.Resolve(p.index, name) }

// Use implements ntp.PoolOutput.
func (p *pool) Use(slot int, addr netip.AddrPort) error {
	c, e := p.slots[slot], p.engine
	err := e.driver.Connect(c.index, addr)
	if c.connected && err == nil {
		e.note(e.now, fmt.Sprintf("%s: server %v in place of %v", c.id, addr.Addr(), c.server.Addr()))
	}
	c.reset()
	c.server, c.connected, c.n, c.samples, c.lies, c.useless, c.forged = addr, true, 0, 0, lies{}, "", 0
	c.core.Reset(e.now)
	return err
}

// Send implements ntp.Output.
func (c *association) Send(b []byte) (uint32, clock.Timestamp, error) {
	return c.engine.driver.SendNTP(c.index, b)
}

// Rebind implements ntp.Output.
func (c *association) Rebind() { c.engine.driver.Rebind(c.index) }

// Replace implements ntp.Output.
func (c *association) Replace(why string) {
	if why != c.useless {
		c.useless = why
		c.engine.note(c.engine.now, fmt.Sprintf("%s (%v) is of no use: %s", c.id, c.server.Addr(), why))
	}
	c.pool.core.Replace(c.engine.now, c.slot)
}

// FalseKiss implements ntp.Output.
func (c *association) FalseKiss(code string) {
	now := c.engine.now
	if c.forged != 0 && now.Sub(c.forged) < forgedPause {
		return
	}
	c.forged = now
	c.engine.note(now, fmt.Sprintf("%s (%v): kiss-o'-death %s is ignored: somebody else sent it, as the server has answered the same request",
		c.id, c.server.Addr(), code))
}

// forgedPause is how long nothing more is told of forged kisses of a server: there may be one with every request, and few
// events are kept.
const forgedPause = time.Hour

// Measured implements ntp.Output.
func (c *association) Measured(s *source.Sample) {
	e := c.engine
	c.delay, c.stratum, c.leap = s.Delay, s.Stratum, s.Leap
	c.useless = ""
	c.polled = c.core.Status().Interval
	alike, own := c.spread.Variances(float64(s.Delay), float64(max(s.Uncertainty, time.Microsecond)))
	m := c.scaled(discipline.Measurement{At: s.At, Offset: int64(s.Offset), Variance: alike, DelayVariance: own,
		MaxError: s.MaxError, Interval: c.interval()})
	c.clock = m.At.Clock()
	e.take(e.now, &c.tracked, m)
	c.adaptPoll()
}

// scaled returns what was measured against UTC on the scale of the clock that it is about: of a PHC as long as TAI − UTC
// is known, else of the system clock, for which it does not matter.
func (c *association) scaled(m discipline.Measurement) discipline.Measurement {
	e := c.engine
	switch {
	case m.At.Clock() == clock.System:
	case e.utc.known:
		m.Offset -= int64(e.utc.seconds) * int64(time.Second)
	default:
		m, _ = e.tree.OnSystem(e.now, m)
	}
	return m
}

// watchPoll is the longest interval, as an exponent of two in seconds, at which servers are asked that are not followed
// but stand by.
const watchPoll = 6

// adaptPoll has the server asked less often while its samples are as expected. A host that has PTP asks often when NTP
// is all that is left: it will not be for long.
func (c *association) adaptPoll() {
	e := c.engine
	if e.leader == nil || !c.relate || c.n < 2 {
		return
	}
	switch {
	case e.leader.kind == source.NTP:
		if len(e.ports) > 0 {
			return
		}
	case c.core.Status().Poll >= watchPoll:
		return
	}
	miss := c.latest().residual - c.bias.value()
	c.core.Hint(e.now, clock.Nanoseconds(miss), clock.Nanoseconds(c.jitter(0)))
}

// hurry has all servers asked as often as they may be: they stand in for PTP now.
func (e *Engine) hurry(now clock.Mono) {
	for _, c := range e.clients {
		if !c.connected {
			continue
		}
		poll := c.cfg.LogMinPoll()
		if least := c.spread.Min(); least > 0 && least < nearby {
			poll = c.cfg.LogStandInPoll()
		}
		c.core.SetMinPoll(now, poll)
	}
}

// relax ends what hurry did.
func (e *Engine) relax(now clock.Mono) {
	for _, c := range e.clients {
		if c.connected {
			c.core.SetMinPoll(now, c.cfg.LogMinPoll())
		}
	}
}

// nearby is the delay there and back, in ns, below which a server is one of the same site.
const nearby = 1e6

// interval of the polls in seconds, as far as it matters for steering.
func (c *association) interval() float64 {
	status := c.core.Status()
	return status.Interval.Seconds()
}

// standing says whether the source can be judged, and if not, why.
func (c *association) standing(now clock.Mono) (source.State, source.Reason) {
	status := c.core.Status()
	switch {
	case !c.connected:
		return source.Unreachable, source.Reason{Code: source.NoAnswer}
	case status.Stopped:
		return source.Unreachable, source.Reason{Code: source.Denied, Word: status.Kiss, A: max(0, status.Until.Sub(now))}
	case c.samples == 0 && status.Received > 0:
		return source.WarmingUp, source.Reason{Code: source.Unsynchronized}
	case c.samples == 0 || status.Reach&unanswered == 0 && c.age(now) > status.Interval:
		return source.Unreachable, source.Reason{Code: source.NoAnswer}
	case c.age(now) > stalePolls*max(c.polled, min(status.Interval, c.cfg.MaxPoll)):
		return source.Unreachable, source.Reason{Code: source.Stale, A: c.age(now)}
	}
	return source.Usable, source.Reason{}
}

// unanswered has the bits of the reach register that say when a server is lost: four polls in a row. RFC 5905 §9.3 takes
// eight, in which time a host at the usual intervals would not know for minutes that it is on its own.
const unanswered = 0x0f

// stalePolls is how many polls old the last sample can be, whatever the reach register says: a server may ask for intervals
// of four times the configured ones.
const stalePolls = 6

// weed has pools replace servers that have been outvoted for a while. A server that the configuration names stays.
func (e *Engine) weed(now clock.Mono) {
	for _, c := range e.clients {
		l := &c.lies
		if v := &c.verdict; v.State != source.Falseticker || v.Reason.Code != source.Disagrees {
			if l.told && v.State != source.Unreachable {
				c.pool.core.Keep(c.slot)
			}
			if v.State != source.Unreachable {
				*l = lies{}
			}
			continue
		}
		if l.told || !c.pool.many || c.samples == l.counted {
			continue
		}
		if l.n == 0 {
			l.since = now
		}
		l.counted = c.samples
		if l.n++; l.n >= manyLies || l.n >= someLies && now.Sub(l.since) >= longLying {
			l.told = true
			c.Replace(fmt.Sprintf("outvoted for %v", now.Sub(l.since).Round(time.Second)))
		}
	}
}

// A server of a pool is replaced after manyLies samples with which it was outvoted, or someLies over longLying.
const (
	manyLies, someLies = 8, 3
	longLying          = 5 * time.Minute
)
