// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// maxStepsRemoved: messages with this many or more are refused (IEEE 1588-2019 §9.3.2.5).
const maxStepsRemoved = 255

func (p *Port) onAnnounce(now clock.Mono, b []byte, from Address) Reason {
	var m wire.Announce
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	if r := p.eligible(now, &m, from); r != accepted {
		return r
	}
	if p.impersonated(&m, from) {
		return p.refuseAddress(now, from)
	}
	row := p.masters.find(m.Source, from)
	if row < 0 {
		var r Reason
		if row, r = p.admit(now, &m, from); row < 0 {
			return r
		}
	}
	f := &p.masters.rows[row]
	// Replayed messages must not use up the master's budget.
	r, forked := f.sequence.accept(now, m.SequenceID, f.interval)
	switch {
	case row != p.parent:
	case forked:
		p.conflicting(now, ConflictSequence, Address{})
	case r == ReasonDuplicate && m.SequenceID == f.sequence.last && parentOf(&m, from) != f.announce:
		p.conflicting(now, ConflictContent, Address{})
	}
	if r != accepted {
		return r
	}
	if !f.limit.take(now, announceEach, announceBurst) {
		return ReasonRate
	}
	f.previous, f.last = f.last, now
	f.heard = min(f.heard+1, 2)
	before := f.announce
	f.announce = parentOf(&m, from)
	f.data = dataSetOf(&m, p.identity)
	f.interval = f.announce.AnnounceInterval
	if row == p.parent {
		p.announceBy, p.graceUsed = now.Add(p.announceTimeoutInterval(f.interval)), false
	}
	if p.elect(now) == row && f.announce != before {
		p.out.ParentChanged(&f.announce)
	}
	return accepted
}

// admit gives a row to a master that has none. When all are taken, an unknown master has to announce itself twice.
func (p *Port) admit(now clock.Mono, m *wire.Announce, from Address) (row int, r Reason) {
	t := &p.masters
	f := foreignMaster{used: true, announce: parentOf(m, from)}
	f.interval = f.announce.AnnounceInterval
	f.syncs = p.parent >= 0 && t.rows[p.parent].announce.Port == m.Source && t.sends(from)
	row = t.free(now, p.parent)
	if row < 0 && !f.syncs && !p.former.has(m.Source, from) {
		first, again := t.unknown.hear(now, m, from, foreignWindow*f.interval, p.rng)
		if !again {
			return -1, ReasonTableFull
		}
		if !t.admissions.take(now, admissionEach, admissionBurst) {
			return -1, ReasonRate
		}
		f.sequence = sequence{started: true, last: first.seq, at: first.at}
		f.last, f.heard = first.at, 1
	}
	if row < 0 {
		row = t.displace(now, p.parent, &p.former, p.rng)
	}
	t.rows[row] = f
	return row, accepted
}

// eligible applies IEEE 1588-2019 §9.3.2.5 as far as the message itself decides, and the configuration.
func (p *Port) eligible(now clock.Mono, m *wire.Announce, from Address) Reason {
	switch {
	case !p.allowed(m.Source, from):
		p.refused = now
		return ReasonNotAllowed
	case m.StepsRemoved >= maxStepsRemoved:
		return ReasonStepsRemoved
	case m.Flags.Has(wire.FlagAlternateMaster):
		return ReasonAlternateMaster
	case m.Grandmaster == p.identity.Clock:
		return ReasonOwn
	}
	return accepted
}

// allowed reports whether the configuration has the sender followed.
func (p *Port) allowed(sender wire.PortIdentity, from Address) bool {
	return len(p.cfg.Masters) == 0 ||
		slices.ContainsFunc(p.cfg.Masters, func(m MasterID) bool { return m.is(sender, from) })
}

// impersonated reports whether the parent is heard and has been measured by, and this message of the same clock comes from
// elsewhere.
func (p *Port) impersonated(m *wire.Announce, from Address) bool {
	if p.parent < 0 {
		return false
	}
	f := &p.masters.rows[p.parent]
	a := &f.announce
	return a.Port.Clock == m.Source.Clock && a.Address != from && !f.unusable && p.former.has(a.Port, a.Address)
}

// otherAddress refuses a message with the parent's clock identity from another address. As long as the parent is heard it
// cannot have moved there.
func (p *Port) refuseAddress(now clock.Mono, from Address) Reason {
	p.conflicting(now, ConflictAddress, from)
	return ReasonAddress
}

// elect takes the best master as parent (state decision, IEEE 1588-2019 §9.3.3: a client goes only the way of decision
// code S1). It returns the parent's row if that stays as it was, -1 if there is none or Output has been called.
func (p *Port) elect(now clock.Mono) int {
	if late := p.parent; now >= p.announceBy {
		if p.announceTimeout(now); p.parent != late {
			return -1
		}
	}
	best := p.masters.best(now, p.parent, &p.former)
	if best == p.parent {
		return best
	}
	why := "master chosen"
	if p.parent >= 0 {
		why = "better master"
	}
	p.follow(now, best, why)
	return -1
}

func (p *Port) follow(now clock.Mono, row int, why string) {
	p.forgetMaster()
	p.parent = row
	f := &p.masters.rows[row]
	p.announceBy = now.Add(p.announceTimeoutInterval(f.interval))
	p.usableBy = now.Add(firstUsable)
	p.out.ParentChanged(&f.announce)
	p.setState(Uncalibrated, why)
}

// announceTimeoutInterval is announceReceiptTimeoutInterval plus the random part of up to one announce interval that
// ANNOUNCE_RECEIPT_TIMEOUT_EXPIRES has (IEEE 1588-2019 §9.2.6.12).
func (p *Port) announceTimeoutInterval(interval time.Duration) time.Duration {
	return time.Duration(p.cfg.AnnounceReceiptTimeout)*interval + time.Duration(p.rng.Int64N(int64(interval)))
}

func (p *Port) announceTimeout(now clock.Mono) {
	if !p.graceUsed && now.Sub(p.announceBy) > lateWake {
		p.graceUsed, p.announceBy = true, now.Add(grace)
		return
	}
	p.masters.rows[p.parent] = foreignMaster{}
	p.parent = -1
	if best := p.masters.best(now, -1, &p.former); best >= 0 {
		p.follow(now, best, "announce receipt timeout, next best master")
		return
	}
	p.forgetMaster()
	p.out.ParentChanged(nil)
	p.setState(Listening, "announce receipt timeout")
}
