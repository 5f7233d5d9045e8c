// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

const (
	// maxAddresses is how many addresses of an answer are looked at.
	maxAddresses = 64
	// maxBad is how many addresses that were given up are remembered, and badFor for how long.
	maxBad = 16
	badFor = time.Hour
	// Names are resolved again after firstRetry, then at intervals that double up to lastRetry.
	firstRetry = 2 * time.Second
	lastRetry  = time.Hour
	// answerAge is how long servers are taken from the answer of a look-up.
	answerAge = time.Hour
	// lookupTimeout is when a look-up without an answer is taken to have failed.
	lookupTimeout = time.Minute
)

// Directory knows which addresses are in use, so that no server is asked, and counted, twice. The pools and servers of a
// host share one.
type Directory struct {
	users map[netip.AddrPort]*Pool
}

// NewDirectory returns an empty Directory.
func NewDirectory() *Directory { return &Directory{users: make(map[netip.AddrPort]*Pool)} }

// PoolConfig describes a Pool.
type PoolConfig struct {
	// Name is what is resolved: a host name, or an IP address, which stands for itself.
	Name string
	// Port of the servers. Default 123.
	Port uint16
	// Size is how many servers are wanted, 1 to 64. Default 1: a single server.
	Size int
}

// PoolOutput is what a Pool acts through. Its methods must not call the Pool.
type PoolOutput interface {
	// Resolve asks for the addresses of a name. The answer is given to Resolved.
	Resolve(name string)
	// Use says that a slot, 0 to Size−1, has the server with that address from now on, in place of the one it had. An error
	// says that nothing can be sent there, such as to an IPv6 address from a host that has none: another address is
	// tried, and if there is none, the slot keeps this one for the time being. ErrPending says that it is yet to be seen;
	// Connected tells.
	Use(slot int, addr netip.AddrPort) error
}

// Pool keeps as many distinct servers as wanted out of the addresses that one name resolves to, and replaces the bad
// ones. A server that is not wanted any more is kept until there is another one.
type Pool struct {
	cfg PoolConfig
	dir *Directory
	rng *rand.Rand
	out PoolOutput

	slots []slot
	// found are the addresses of the latest look-up, made at foundAt.
	found   []netip.AddrPort
	foundAt clock.Mono
	// bad are the addresses given up lately; the oldest is overwritten.
	bad     [maxBad]badAddress
	nextBad int

	literal bool
	pending bool
	// due is when to resolve, or, pending, when to give the look-up up. Never if nothing is lacking.
	due   clock.Mono
	retry time.Duration
	err   error
}

// slot has a server if addr is valid; unwanted: it is to be replaced, mute: because nothing can be sent to it. pending: whether
// anything can is yet to be seen.
type slot struct {
	addr     netip.AddrPort
	unwanted bool
	mute     bool
	pending  bool
}

type badAddress struct {
	addr  netip.AddrPort
	until clock.Mono
}

// NewPool returns a Pool that resolves its name on the next Wake.
func NewPool(cfg PoolConfig, dir *Directory, rng *rand.Rand, out PoolOutput) *Pool {
	if cfg.Port == 0 {
		cfg.Port = 123
	}
	cfg.Size = min(max(cfg.Size, 1), maxAddresses)
	p := &Pool{cfg: cfg, dir: dir, rng: rng, out: out, slots: make([]slot, cfg.Size), retry: firstRetry}
	if addr, err := netip.ParseAddr(cfg.Name); err == nil {
		p.literal = true
		p.found = []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), cfg.Port)}
	}
	return p
}

// Close gives the addresses back. The Pool must not be used any more.
func (p *Pool) Close() {
	for i := range p.slots {
		p.release(i)
	}
	p.due = clock.Never
}

// NextWake returns when Wake is to be called next.
func (p *Pool) NextWake() clock.Mono { return p.due }

// Wake does what is due at now. Called early, it does nothing.
func (p *Pool) Wake(now clock.Mono) {
	switch {
	case now < p.due:
	case p.literal:
		p.fill(now)
		p.later(now)
	case p.pending:
		p.pending = false
		p.later(now)
	default:
		p.resolve(now)
	}
}

func (p *Pool) resolve(now clock.Mono) {
	p.pending, p.due = true, now.Add(lookupTimeout)
	p.out.Resolve(p.cfg.Name)
}

// Resolved gives the answer of a look-up: addresses in any order, or why there are none. What lacks servers is resolved
// again later, at longer and longer intervals.
func (p *Pool) Resolved(now clock.Mono, addrs []netip.Addr, err error) {
	if p.literal {
		return
	}
	p.pending, p.err = false, err
	if err == nil {
		p.keep(addrs)
		p.foundAt = now
		p.fill(now)
	}
	p.later(now)
}

// keep takes over the first addresses of an answer, each once, in random order.
func (p *Pool) keep(addrs []netip.Addr) {
	p.found = p.found[:0]
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		server := netip.AddrPortFrom(a.Unmap(), p.cfg.Port)
		if usable(server.Addr()) && !contains(p.found, server) {
			p.found = append(p.found, server)
		}
	}
	p.rng.Shuffle(len(p.found), func(i, j int) { p.found[i], p.found[j] = p.found[j], p.found[i] })
}

// usable reports whether a server can have the address.
func usable(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() }

func contains(list []netip.AddrPort, a netip.AddrPort) bool {
	for _, b := range list {
		if a == b {
			return true
		}
	}
	return false
}

// Keep says that the server of a slot is good, after all.
func (p *Pool) Keep(slot int) {
	if slot < 0 || slot >= len(p.slots) || !p.slots[slot].unwanted {
		return
	}
	p.slots[slot].unwanted = false
	if !p.pending && !p.lacking() {
		p.due, p.retry = clock.Never, firstRetry
	}
}

// Replace says that the server of a slot is bad. It is not used again for an hour if there are others. A server that is
// named by its address is never replaced.
func (p *Pool) Replace(now clock.Mono, slot int) {
	if slot < 0 || slot >= len(p.slots) || p.literal {
		return
	}
	s := &p.slots[slot]
	if !s.addr.IsValid() {
		return
	}
	if !s.unwanted {
		s.unwanted = true
		p.retry = firstRetry
	}
	p.condemn(now, s.addr)
	p.fill(now)
	if p.lacking() && !p.pending && p.due == clock.Never {
		p.later(now)
	}
}

// Connected tells whether anything can be sent to the server of a slot, where PoolOutput.Use has left that open.
func (p *Pool) Connected(now clock.Mono, slot int, err error) {
	if slot < 0 || slot >= len(p.slots) || !p.slots[slot].pending {
		return
	}
	s := &p.slots[slot]
	s.pending = false
	if err != nil {
		s.unwanted, s.mute = true, true
		p.condemn(now, s.addr)
		// No bad address is tried again before the name is resolved again: there would be no end to it.
		if now.Sub(p.foundAt) <= answerAge {
			p.supply(now, slot, false)
		}
	}
	if !p.pending && (p.due == clock.Never || !p.lacking()) {
		p.later(now)
	}
}

// NetworkChanged has a name resolved at once where servers are lacking.
func (p *Pool) NetworkChanged(now clock.Mono) {
	p.retry = firstRetry
	if p.lacking() && !p.pending {
		p.due = min(p.due, now.Add(firstRetry))
	}
}

// condemn remembers a bad address.
func (p *Pool) condemn(now clock.Mono, addr netip.AddrPort) {
	for i := range p.bad {
		if p.bad[i].addr == addr {
			p.bad[i].until = now.Add(badFor)
			return
		}
	}
	p.bad[p.nextBad] = badAddress{addr, now.Add(badFor)}
	p.nextBad = (p.nextBad + 1) % maxBad
}

func (p *Pool) condemned(now clock.Mono, addr netip.AddrPort) bool {
	for i := range p.bad {
		if p.bad[i].addr == addr && now < p.bad[i].until {
			return true
		}
	}
	return false
}

// lacking reports whether a slot has no server, or one to be replaced.
func (p *Pool) lacking() bool {
	for i := range p.slots {
		if s := &p.slots[i]; !s.addr.IsValid() || s.unwanted {
			return true
		}
	}
	return false
}

// open reports whether it is yet to be seen of a slot's server if anything can be sent to it.
func (p *Pool) open() bool {
	for i := range p.slots {
		if p.slots[i].pending {
			return true
		}
	}
	return false
}

// fill gives servers to the slots that lack one: unused addresses, and to slots without any server, or with one that
// nothing can be sent to, even a bad one.
func (p *Pool) fill(now clock.Mono) {
	if !p.literal && now.Sub(p.foundAt) > answerAge {
		return // the name may have other addresses by now
	}
	for i := range p.slots {
		old := p.slots[i]
		if old.addr.IsValid() && !old.unwanted || p.supply(now, i, false) {
			continue
		}
		switch {
		case !old.addr.IsValid() || old.mute:
			p.supply(now, i, true)
		case p.slots[i].addr != old.addr:
			_ = p.use(i, old.addr)
			p.slots[i].unwanted = true
		}
	}
}

// supply gives the slot the first address that can be used. If there is none it may be left with one that cannot.
func (p *Pool) supply(now clock.Mono, slot int, evenBad bool) bool {
	for _, a := range p.found {
		if p.dir.users[a] != nil || !evenBad && p.condemned(now, a) {
			continue
		}
		if p.use(slot, a) == nil {
			return true
		}
		p.condemn(now, a)
	}
	return false
}

// use gives the slot a server, which is wanted if anything can be sent to it.
func (p *Pool) use(i int, addr netip.AddrPort) error {
	p.release(i)
	p.dir.users[addr] = p
	err := p.out.Use(i, addr)
	if errors.Is(err, ErrPending) {
		p.slots[i] = slot{addr: addr, pending: true}
		return nil
	}
	p.slots[i] = slot{addr: addr, unwanted: err != nil, mute: err != nil}
	return err
}

func (p *Pool) release(slot int) {
	s := &p.slots[slot]
	if s.addr.IsValid() {
		delete(p.dir.users, s.addr)
		s.addr = netip.AddrPort{}
	}
}

// later sets when to resolve again, if at all.
func (p *Pool) later(now clock.Mono) {
	if !p.lacking() {
		p.due = clock.Never
		if !p.open() {
			p.retry = firstRetry
		}
		return
	}
	p.due = now.Add(p.retry + time.Duration(p.rng.Int64N(int64(p.retry/4))))
	p.retry = min(2*p.retry, lastRetry)
}

// Server returns the address that a slot has, and whether it has one.
func (p *Pool) Server(slot int) (addr netip.AddrPort, ok bool) {
	if slot < 0 || slot >= len(p.slots) {
		return addr, false
	}
	return p.slots[slot].addr, p.slots[slot].addr.IsValid()
}

// Size returns the number of slots.
func (p *Pool) Size() int { return len(p.slots) }

// Resolving reports whether the answer of a look-up is waited for, or the first one is yet to begin.
func (p *Pool) Resolving() bool { return p.pending || p.due == 0 }

// Err returns why the latest look-up gave nothing, nil if it gave something.
func (p *Pool) Err() error { return p.err }
