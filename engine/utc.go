// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// utcOffset is TAI − UTC and where it comes from.
type utcOffset struct {
	seconds int
	known   bool
	origin  string
	// unconfigured: it is stated by a port that nobody has configured, which is not to be believed at the next start.
	unconfigured bool
}

const (
	unknownOrigin    = "unknown"
	configuredOrigin = "configuration"
)

// findUTCOffset settles what TAI − UTC is: as the followed source states it, else another one that tells the truth, else a
// leap-seconds list that has not expired, what was known before, an expired list, the configuration, or the state file. A
// port that nobody has configured is believed only where nothing else tells.
func (e *Engine) findUTCOffset(now clock.Mono) {
	found := e.statedUTCOffset(now)
	if !e.utc.known || !found.known || found.seconds == e.utc.seconds {
		e.utcDoubt = 0
	} else if e.doubts(now, found) {
		found = e.utc
	}
	if found != e.utc {
		e.utc = found
		text := "TAI−UTC is unknown"
		if found.known {
			text = fmt.Sprintf("TAI−UTC is %d s, by %s", found.seconds, found.origin)
		}
		e.note(now, text)
	}
	e.relateScale(e.leader)
}

func (e *Engine) statedUTCOffset(now clock.Mono) (found utcOffset) {
	found.origin = unknownOrigin
	known := e.utc.known && !e.discredited(e.utc.origin)
	switch {
	case e.statedByPort(&found, false):
	case e.listed(now, &found) && !(e.listExpired(now) && known):
	case known:
		found = e.utc // nobody says it any more, but it has not changed by that
	case e.cfg.UTC.Offset != 0:
		found = utcOffset{seconds: e.cfg.UTC.Offset, known: true, origin: configuredOrigin}
	case e.env.Saved.UTCOffset != 0:
		found = utcOffset{seconds: e.env.Saved.UTCOffset, known: true, origin: "state file"}
	case e.statedByPort(&found, true):
	}
	return found
}

// listExpired reports whether there may have been leap seconds that the list does not know.
func (e *Engine) listExpired(now clock.Mono) bool {
	at, _, ok := e.tree.Frequency(now, clock.System)
	return ok && e.env.Leaps != nil && e.env.Leaps.Expires().Nanoseconds <= at.Nanoseconds()
}

// doubts reports whether a new offset is not to be believed: it changes by leap seconds only, which are announced, and
// the clocks that have been following would have to move by whole seconds. As long as NTP servers agree with this host,
// which has the old offset, it stays; without any, it is believed once it has been stated for a while.
func (e *Engine) doubts(now clock.Mono, found utcOffset) bool {
	if !e.tree.Trusted(clock.System) {
		return false
	}
	if e.utcDoubt == 0 {
		e.utcDoubt = now
		e.note(now, fmt.Sprintf("%s says that TAI−UTC is %d s, not %d s: that is not believed yet", found.origin, found.seconds,
			e.utc.seconds))
	}
	return e.vouched(now) || now.Sub(e.utcDoubt) < suspectHold
}

// vouched reports whether an NTP server agrees with the host.
func (e *Engine) vouched(now clock.Mono) bool {
	for _, c := range e.clients {
		state, _ := c.standing(now)
		if v := c.verdict.State; state == source.Usable && (v == source.Usable || v == source.Combined || v == source.Selected) {
			return true
		}
	}
	return false
}

// discredited reports whether what an offset is from is a source that has turned out not to tell the truth, before the
// system clock has been locked by it: afterwards it has stood the test.
func (e *Engine) discredited(origin string) bool {
	for _, p := range e.ports {
		if p.verdict.State == source.Falseticker && origin == p.origin {
			return !e.tree.Trusted(clock.System)
		}
	}
	return false
}

// relateScale tells the tree whether UTC can be reckoned from the time of the source that leads.
func (e *Engine) relateScale(leader *tracked) {
	known := e.utc.known
	for _, p := range e.ports {
		if leader == &p.tracked && !p.time.PTPTimescale {
			known = false
		}
	}
	e.tree.SetUTCOffset(e.utc.seconds, known)
}

// statedByPort takes the offset that a master announces as valid: the followed one's first. It asks the ports that somebody
// has configured, or those that nobody has.
func (e *Engine) statedByPort(found *utcOffset, unconfigured bool) bool {
	for _, leaders := range [2]bool{true, false} {
		for _, p := range e.ports {
			if (&p.tracked == e.leader) == leaders && p.options.Unconfigured == unconfigured && p.stated() {
				*found = utcOffset{int(p.time.UTCOffset), true, p.origin, unconfigured}
				return true
			}
		}
	}
	return false
}

func (p *port) stated() bool {
	return p.core != nil && p.has && p.time.PTPTimescale && p.time.UTCOffsetValid && !p.options.NoSelect &&
		p.time.UTCOffset >= 0 && p.time.UTCOffset <= maxUTCOffset && p.verdict.State != source.Falseticker
}

// listed takes the offset from the leap-seconds list, by the best time that there is.
func (e *Engine) listed(now clock.Mono, found *utcOffset) bool {
	if e.env.Leaps == nil {
		return false
	}
	for _, p := range e.ports {
		if p.has && p.time.PTPTimescale && p.samples > 0 && p.clock != clock.System && !p.options.Unconfigured {
			tai := p.sample.At.Nanoseconds() - p.sample.Offset
			if s, ok := e.env.Leaps.TAIOffset(clock.Instant{Nanoseconds: tai, Scale: clock.TAI}); ok {
				*found = utcOffset{seconds: s, known: true, origin: e.listOrigin}
				return true
			}
		}
	}
	at, _, ok := e.tree.Frequency(now, clock.System)
	if !ok {
		return false
	}
	s, ok := e.env.Leaps.TAIOffset(clock.Instant{Nanoseconds: at.Nanoseconds(), Scale: clock.UTC})
	if ok {
		*found = utcOffset{seconds: s, known: true, origin: e.listOrigin}
	}
	return ok
}

// utcFor returns TAI − UTC for what port p says: the one in force, or its own statement.
func (e *Engine) utcFor(p *port) (seconds int, known bool) {
	if !e.utc.known && p.stated() {
		return int(p.time.UTCOffset), true
	}
	return e.utc.seconds, e.utc.known
}

// maxUTCOffset is the largest TAI − UTC, in seconds, that is not taken for nonsense.
const maxUTCOffset = 255
