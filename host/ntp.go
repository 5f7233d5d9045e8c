// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// pool is one server or pool of the configuration: a name, and the servers that it stands for.
type pool struct {
	host  *Host
	index int
	many  bool // its name stands for any number of servers, as good as each other
	core  *ntp.Pool
	slots []*association
}

// association is one NTP server, a source. It implements engine.Source and ntp.Output.
type association struct {
	host      *Host
	sink      engine.Sink
	source    source.Info
	index     int // among all associations
	slot      int // of its pool
	pool      *pool
	cfg       configs.Association
	core      *ntp.Client
	stamps    clock.ID // by which its messages are timestamped
	connected bool
	server    netip.AddrPort
	former    netip.AddrPort // that it takes the place of, which has not been told yet; invalid if none
	stratum   int
	leap      clock.Leap
	polled    time.Duration // the interval at the last sample
	sample    source.Sample // the latest, here so that none is allocated
	samples   int           // since the last restart
	last      clock.Mono    // when the last sample was handed over
	spread    estimate.DelaySpread
	role      source.Role
	outvoted  outvoted
	useless   string     // why, as told last
	forged    clock.Mono // when a forged kiss-o'-death was told of last, 0 if it was not
}

// outvoted is for how long, and with how many samples, a server of a pool has been outvoted without a break.
type outvoted struct {
	since   clock.Mono
	counted int // samples up to the last one counted
	n       int
	told    bool // the pool has been told
}

// addNTP registers the NTP servers and pools of the configuration.
func (h *Host) addNTP() {
	directory := ntp.NewDirectory()
	for _, s := range h.cfg.NTP.Servers {
		h.addPool(directory, s.Address, 1, s.Association).many = false
	}
	for _, p := range h.cfg.NTP.Pools {
		h.addPool(directory, p.Name, p.Count, p.Association)
	}
}

func (h *Host) addPool(d *ntp.Directory, name string, size int, cfg configs.Association) *pool {
	p := &pool{host: h, index: len(h.pools), many: true}
	p.core = ntp.NewPool(ntp.PoolConfig{Name: name, Port: cfg.Port, Size: size}, d, h.generator(), p)
	for i := range size {
		c := &association{host: h, index: len(h.assocs), slot: i, pool: p, cfg: cfg, stamps: clock.System}
		number := ""
		if size > 1 {
			number = fmt.Sprintf("#%d", i+1)
		}
		id := h.unused("ntp:"+name+number, fmt.Sprintf("ntp:%s:%d%s", name, cfg.Port, number))
		c.source = source.Info{ID: id, Kind: source.NTP, Name: name, Traits: source.Traits{Combinable: true},
			Options: source.Options{Prefer: cfg.Prefer, Trust: cfg.Trust, NoSelect: cfg.NoSelect}}
		c.core = c.client(h.generator())
		c.sink = h.Register(c)
		p.slots = append(p.slots, c)
		h.assocs = append(h.assocs, c)
	}
	h.pools = append(h.pools, p)
	return p
}

// client returns the protocol's part of the association.
func (c *association) client(rng *rand.Rand) *ntp.Client {
	return ntp.NewClient(ntp.Config{MinPoll: c.cfg.LogMinPoll(), MaxPoll: c.cfg.LogMaxPoll(), Burst: c.cfg.Burst,
		Clock: c.stamps, MaxRootDistance: c.host.cfg.Selection.MaxDistance}, rng, c)
}

// AssociationClock tells by which clock the messages of association n are timestamped from now on: a PHC where its NIC
// can stamp NTP, the system clock where the kernel does and at the start.
func (h *Host) AssociationClock(now clock.Mono, n int, id clock.ID) {
	h.now = now
	c := h.assocs[n]
	if c.stamps == id {
		return
	}
	c.stamps, c.samples = id, 0
	c.core = c.client(h.generator())
	if c.connected {
		_ = h.driver.Connect(c.index, c.server) // each request tries again
		c.core.Reset(now)
	}
	c.spread.Forget()
	c.sink.Restarted(now, source.NewClock)
}

// Associations returns how many servers are asked at most.
func (h *Host) Associations() int { return len(h.assocs) }

// AssociationInterface returns the interface that association n has to be bound to, empty for any.
func (h *Host) AssociationInterface(n int) string { return h.assocs[n].cfg.Interface }

// Resolved hands over the addresses of pool n's name, or why there are none.
func (h *Host) Resolved(now clock.Mono, n int, addrs []netip.Addr, err error) {
	h.now = now
	h.pools[n].core.Resolved(now, addrs, err)
}

// NTPReceived hands over a datagram for association n; ts is when it came, zero if that is not known.
func (h *Host) NTPReceived(now clock.Mono, n int, b []byte, ts clock.Timestamp) {
	h.now = now
	if c := h.assocs[n]; c.connected {
		_ = c.core.Receive(now, b, ts) // what is refused, and why, the client counts
	}
}

// NTPTransmitted tells when the request left for which SendNTP returned id.
func (h *Host) NTPTransmitted(now clock.Mono, n int, id uint32, ts clock.Timestamp) {
	h.now = now
	h.assocs[n].core.Transmitted(now, id, ts)
}

// NetworkChanged tells that a link came up or an address changed: servers may be reachable again, and kisses-o'-death that
// came the way that the network was before are forgotten.
func (h *Host) NetworkChanged(now clock.Mono) {
	h.now = now
	for _, p := range h.pools {
		p.core.NetworkChanged(now)
	}
	for _, c := range h.assocs {
		if c.connected {
			c.core.NetworkChanged(now)
		}
	}
}

// ForgetKisses has the servers asked as if none had ever sent a kiss-o'-death: those that have denied their service are
// asked again soon, and those that have asked for longer intervals at the configured ones. The others notice nothing.
func (h *Host) ForgetKisses(now clock.Mono) {
	h.now = now
	for _, c := range h.assocs {
		if c.connected {
			c.core.ForgetKisses(now)
		}
	}
}

// Resolve implements ntp.PoolOutput.
func (p *pool) Resolve(name string) { p.host.driver.Resolve(p.index, name) }

// Use implements ntp.PoolOutput.
func (p *pool) Use(slot int, addr netip.AddrPort) error {
	c, now := p.slots[slot], p.host.now
	err := p.host.driver.Connect(c.index, addr)
	switch {
	case err == nil:
		c.tellServer(addr, c.server)
	case errors.Is(err, ntp.ErrPending):
		c.former = c.server
	}
	c.spread.Forget()
	c.server, c.connected, c.samples, c.outvoted, c.useless, c.forged = addr, true, 0, outvoted{}, "", 0
	c.sink.Restarted(now, source.NewServer)
	c.core.Reset(now)
	return err
}

// tellServer tells of another server in the place of a former one, if there was one.
func (c *association) tellServer(server, former netip.AddrPort) {
	if former.IsValid() {
		c.tell(status.ServerReplaced, slog.Any("server", server.Addr()), slog.Any("former", former.Addr()))
	}
}

// Connected tells the end of what Driver.Connect, Rebind or SendNTP has begun for association n: there is a socket, or an
// error says why there is none.
func (h *Host) Connected(now clock.Mono, n int, err error) {
	h.now = now
	c := h.assocs[n]
	if !c.connected {
		return
	}
	if err == nil {
		c.tellServer(c.server, c.former)
		c.former = netip.AddrPort{}
	}
	c.core.Connected(now, err)
	c.pool.core.Connected(now, c.slot, err)
}

// Send implements ntp.Output.
func (c *association) Send(b []byte) (uint32, clock.Timestamp, error) {
	return c.host.driver.SendNTP(c.index, b)
}

// Rebind implements ntp.Output.
func (c *association) Rebind() { c.host.driver.Rebind(c.index) }

// Replace implements ntp.Output.
func (c *association) Replace(why string) {
	if why != c.useless {
		c.useless = why
		c.tell(status.ServerUseless, slog.Any("server", c.server.Addr()), slog.String("reason", why))
	}
	c.pool.core.Replace(c.host.now, c.slot)
}

// FalseKiss implements ntp.Output.
func (c *association) FalseKiss(code string) {
	now := c.host.now
	if c.forged != 0 && now.Sub(c.forged) < forgedPause {
		return
	}
	c.forged = now
	c.tell(status.KissIgnored, slog.Any("server", c.server.Addr()), slog.String("code", code))
}

// tell tells of an event that is about the server.
func (c *association) tell(kind status.EventKind, fields ...slog.Attr) {
	c.sink.Event(c.host.now, status.NewEvent(kind, string(c.source.ID), fields...))
}

// forgedPause is how long nothing more is told of forged kisses of a server: there may be one with every request, and few
// events are kept.
const forgedPause = time.Hour

// Measured implements ntp.Output.
func (c *association) Measured(m *ntp.Measurement) {
	now, interval := c.host.now, c.core.Status().Interval
	c.stratum, c.leap, c.useless, c.polled = m.Stratum, m.Leap, "", interval
	s := &c.sample
	*s = source.Sample{At: m.At, Offset: int64(m.Offset), MaxError: m.MaxError, Delay: m.Delay, Interval: interval}
	s.Variance, s.DelayVariance = c.spread.Variances(float64(m.Delay), float64(max(m.Uncertainty, time.Microsecond)))
	c.samples++
	c.last = now
	c.sink.Sample(now, s)
}

// Info implements engine.Source.
func (c *association) Info() source.Info { return c.source }

// Claim implements engine.Source.
func (c *association) Claim() timescale.Claim { return timescale.Claim{Scale: clock.UTC, Leap: c.leap} }

// watchPoll is the longest interval, as an exponent of two in seconds, at which servers are asked that are not followed
// but stand by.
const watchPoll = 6

// Need implements engine.Source. A server is asked as often as it may be while it stands in for a source that ranks higher,
// and less often while its samples are as expected: a source that ranks higher may be back soon.
func (c *association) Need(_ clock.Mono, n source.Need) {
	if (n.Role == source.StandBy) != (c.role == source.StandBy) && c.connected {
		poll := c.cfg.LogMinPoll()
		if least := c.spread.Min(); n.Role != source.StandBy && least > 0 && least < nearby {
			poll = c.cfg.LogStandInPoll()
		}
		c.core.SetMinPoll(poll)
	}
	c.role = n.Role
	if !n.Compared || n.Role == source.Idle || n.Role == source.StandIn ||
		n.Role == source.StandBy && c.core.Status().Poll >= watchPoll {
		return
	}
	c.core.Hint(n.Miss, n.Jitter)
}

// nearby is the delay there and back, in ns, below which a server is one of the same site.
const nearby = 1e6

// Standing implements engine.Source.
func (c *association) Standing(now clock.Mono) source.Standing {
	status, age := c.core.Status(), now.Sub(c.last)
	s := source.Standing{State: source.Unreachable}
	switch {
	case !c.connected:
		s.Reason = source.Reason{Code: source.NoAddress}
	case status.Stopped:
		s.Reason = source.Reason{Code: source.Denied, Word: status.Kiss, A: max(0, status.Until.Sub(now))}
	case c.samples == 0 && status.Received > 0:
		s.State, s.Reason = source.WarmingUp, source.Reason{Code: source.Unsynchronized}
	case c.samples == 0 || status.Reach&unanswered == 0 && age > status.Interval:
		s.Reason = source.Reason{Code: source.NoAnswer}
	case age > stalePolls*max(c.polled, min(status.Interval, c.cfg.MaxPoll)):
		s.Reason = source.Reason{Code: source.Stale, A: age}
	default:
		s.State = source.Usable
	}
	return s
}

// unanswered has the bits of the reach register that say when a server is lost: four polls in a row. RFC 5905 §9.3 takes
// eight, in which time a host at the usual intervals would not know for minutes that it is on its own.
const unanswered = 0x0f

// stalePolls is how many polls old the last sample can be, whatever the reach register says: a server may ask for intervals
// of four times the configured ones.
const stalePolls = 6

// Judged implements engine.Source. A server of a pool that has been outvoted for a while is replaced. A server that the
// configuration names stays.
func (c *association) Judged(now clock.Mono, v source.Verdict) {
	c.host.now = now
	o := &c.outvoted
	if v.State != source.Falseticker || v.Reason.Code != source.Disagrees {
		if o.told && v.State != source.Unreachable {
			c.pool.core.Keep(c.slot)
		}
		if v.State != source.Unreachable {
			*o = outvoted{}
		}
		return
	}
	if o.told || !c.pool.many || c.samples == o.counted {
		return
	}
	if o.n == 0 {
		o.since = now
	}
	o.counted = c.samples
	if o.n++; o.n >= manyOutvoted || o.n >= someOutvoted && now.Sub(o.since) >= longOutvoted {
		o.told = true
		c.Replace(fmt.Sprintf("outvoted for %v", now.Sub(o.since).Round(time.Second)))
	}
}

// A server of a pool is replaced after manyOutvoted samples with which it was outvoted, or someOutvoted over longOutvoted.
const (
	manyOutvoted, someOutvoted = 8, 3
	longOutvoted               = 5 * time.Minute
)

// ClockChanged implements engine.Source.
func (c *association) ClockChanged(_ clock.Mono, change source.Change) {
	if change.Kind == source.Stepped && change.Clock == c.stamps {
		c.core.Stepped()
	}
}

// Wake implements engine.Source. The first server of a pool does what is due for all of it.
func (c *association) Wake(now clock.Mono) {
	c.host.now = now
	if c.slot == 0 && c.pool.core.NextWake() <= now {
		c.pool.core.Wake(now)
	}
	if c.connected && c.core.NextWake() <= now {
		c.core.Wake(now)
	}
}

// NextWake implements engine.Source.
func (c *association) NextWake() clock.Mono {
	next := clock.Never
	if c.slot == 0 {
		next = c.pool.core.NextWake()
	}
	if c.connected {
		next = min(next, c.core.NextWake())
	}
	return next
}
