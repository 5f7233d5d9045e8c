// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Config of a Keeper.
type Config struct {
	// Offset is TAI − UTC in seconds to assume where nothing else tells it, 0 for none; Saved is that of the last run.
	Offset, Saved int
	// Leaps is the leap-seconds list, nil if there is none; ListName is its file.
	Leaps    *clock.LeapTable
	ListName string
}

// Keeper keeps TAI − UTC and the leap second to come.
type Keeper struct {
	cfg    Config
	clocks Clocks
	tell   func(now clock.Mono, e Event)

	offset    Offset
	disputed  bool
	disputeAt clock.Mono // since when another offset is stated than the one in force
	armed     armedLeap
	armFrom   clock.Mono // not before
	advice    Advice
	past      pastLeap
}

// New returns a Keeper that knows nothing yet. tell is called with each event.
func New(cfg Config, clocks Clocks, tell func(now clock.Mono, e Event)) *Keeper {
	return &Keeper{cfg: cfg, clocks: clocks, tell: tell}
}

// Adopt takes over what an earlier Keeper of the same host has found out. An offset of the configuration stays behind: the
// configuration may have changed.
func (k *Keeper) Adopt(old *Keeper) {
	k.armed, k.armFrom, k.advice, k.past = old.armed, old.armFrom, old.advice, old.past
	if old.offset.Origin.Kind != OriginConfiguration {
		k.offset = old.offset
	}
}

// SetLeaps takes another leap-seconds list, which may be a newer one of the same file.
func (k *Keeper) SetLeaps(leaps *clock.LeapTable) { k.cfg.Leaps = leaps }

// Leaps returns the leap-seconds list, nil if there is none.
func (k *Keeper) Leaps() *clock.LeapTable { return k.cfg.Leaps }

// Offset returns TAI − UTC as it is in force.
func (k *Keeper) Offset() Offset { return k.offset }

// OffsetToSave returns TAI − UTC in seconds for the next start, 0 if there is none worth keeping.
func (k *Keeper) OffsetToSave() int {
	if o := k.offset; o.Known && o.Origin.Kind != OriginConfiguration && !o.Unconfigured {
		return o.Seconds
	}
	return k.cfg.Saved
}

// OffsetFor returns TAI − UTC for the time of one source: the offset in force, or while there is none the source's own.
func (k *Keeper) OffsetFor(w *Witness) (seconds int, known bool) {
	if !k.offset.Known && w.states() {
		return w.Claim.Offset, true
	}
	return k.offset.Seconds, k.offset.Known
}

// disputeHold is how long another offset than the one in force must be stated until it is believed, where no source on UTC
// contradicts it. It is as long as a jump of the only source is not followed.
const disputeHold = 30 * time.Second

// Review finds TAI − UTC. The first of these that has one gives it: the source that leads, another source that tells the
// truth, a list that has not expired, what was known before, an expired list, the configuration, the state file, a source
// that nobody has configured.
func (k *Keeper) Review(now clock.Mono, witnesses []Witness) {
	found := k.find(now, witnesses)
	if !k.offset.Known || !found.Known || found.Seconds == k.offset.Seconds {
		k.disputed = false
	} else if k.disputes(now, found, witnesses) {
		found = k.offset
	}
	if found != k.offset {
		k.offset = found
		k.tell(now, Event{Kind: OffsetChanged, Offset: found})
	}
}

func (k *Keeper) find(now clock.Mono, witnesses []Witness) Offset {
	known := k.offset.Known && !k.discredited(witnesses)
	if found, ok := stated(witnesses, true); ok {
		return found
	}
	listed, inList := k.listed(now, witnesses)
	switch {
	case inList && !(k.listExpired(now) && known):
		return listed
	case known:
		return k.offset // nobody states it any more, but it has not changed by that
	case k.cfg.Offset != 0:
		return Offset{Seconds: k.cfg.Offset, Known: true, Origin: Origin{Kind: OriginConfiguration}}
	case k.cfg.Saved != 0:
		return Offset{Seconds: k.cfg.Saved, Known: true, Origin: Origin{Kind: OriginStateFile}}
	}
	found, _ := stated(witnesses, false)
	return found
}

// stated returns the offset that a source states, the leader first, among those that are configured or those that are not.
func stated(witnesses []Witness, configured bool) (Offset, bool) {
	for _, leaders := range [2]bool{true, false} {
		for i := range witnesses {
			if w := &witnesses[i]; w.Leads == leaders && w.Configured == configured && w.states() {
				return Offset{Seconds: w.Claim.Offset, Known: true, Origin: Origin{Kind: OriginSource, Name: w.Name},
					Unconfigured: !configured}, true
			}
		}
	}
	return Offset{}, false
}

// discredited reports whether the offset in force is from a source that does not tell the truth, unless the system clock
// has been locked since: then it has stood the test.
func (k *Keeper) discredited(witnesses []Witness) bool {
	for i := range witnesses {
		if w := &witnesses[i]; w.Falseticker && k.offset.Origin == (Origin{Kind: OriginSource, Name: w.Name}) {
			return !k.clocks.Trusted(clock.System)
		}
	}
	return false
}

// disputes reports whether a new offset is not to be believed. TAI − UTC changes only by leap seconds, which are announced;
// otherwise clocks that have been following would have to move by whole seconds. The old offset stays as long as a source on
// UTC agrees with this host, which has that offset; without any the new one is believed after disputeHold.
func (k *Keeper) disputes(now clock.Mono, found Offset, witnesses []Witness) bool {
	if !k.clocks.Trusted(clock.System) {
		return false
	}
	if !k.disputed {
		k.disputed, k.disputeAt = true, now
		k.tell(now, Event{Kind: OffsetDisputed, Offset: found, Former: k.offset})
	}
	return vouched(witnesses) || now.Sub(k.disputeAt) < disputeHold
}

// vouched reports whether a source on UTC agrees with the host.
func vouched(witnesses []Witness) bool {
	for i := range witnesses {
		if w := &witnesses[i]; w.Claim.Scale == clock.UTC && w.Usable && w.Agrees {
			return true
		}
	}
	return false
}

// listExpired reports whether there may have been leap seconds that the list does not know.
func (k *Keeper) listExpired(now clock.Mono) bool {
	at, _, ok := k.clocks.Frequency(now, clock.System)
	return ok && k.cfg.Leaps != nil && k.cfg.Leaps.Expires().Nanoseconds <= at.Nanoseconds()
}

// listed takes the offset from the leap-seconds list, for the best time that there is.
func (k *Keeper) listed(now clock.Mono, witnesses []Witness) (Offset, bool) {
	if k.cfg.Leaps == nil {
		return Offset{}, false
	}
	found := Offset{Known: true, Origin: Origin{Kind: OriginList, Name: k.cfg.ListName}}
	for i := range witnesses {
		if w := &witnesses[i]; w.Claim.Scale == clock.TAI && w.HasTAI && w.Configured {
			if s, ok := k.cfg.Leaps.TAIOffset(clock.Instant{Nanoseconds: w.TAI, Scale: clock.TAI}); ok {
				found.Seconds = s
				return found, true
			}
		}
	}
	at, _, ok := k.clocks.Frequency(now, clock.System)
	if !ok {
		return Offset{}, false
	}
	s, ok := k.cfg.Leaps.TAIOffset(clock.Instant{Nanoseconds: at.Nanoseconds(), Scale: clock.UTC})
	found.Seconds = s
	return found, ok
}
