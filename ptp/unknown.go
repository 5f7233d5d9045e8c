// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// unknownCapacity is how many unknown masters are remembered, in 128 KiB. Of a master that announces itself once a second
// beside 10,000 invented ones that never do it twice, 3 in 10 messages are still remembered when the next one comes.
const unknownCapacity = 8192

// unknownMasters remembers the first Announce of each sender that found the foreign master table full. A master announces
// itself again, and is admitted then; a sender that is invented for each message is not. Senders whose hashes collide
// displace each other.
type unknownMasters struct {
	secret [2]uint64
	heard  []firstAnnounce // allocated when the table is full for the first time
}

// firstAnnounce is one message: when it came, its sequenceId, and the part of its sender's hash that is not its index.
type firstAnnounce struct {
	at  clock.Mono
	tag uint32
	seq uint16
}

// hear remembers a message, and returns the previous one of the same sender if that came within the window and their
// sequenceIds are as close as those of a master are then.
func (c *unknownMasters) hear(now clock.Mono, m *wire.Announce, from Address, window time.Duration,
	rng *rand.Rand) (first firstAnnounce, again bool) {
	if c.heard == nil {
		*c = unknownMasters{[2]uint64{rng.Uint64(), rng.Uint64()}, make([]firstAnnounce, unknownCapacity)}
	}
	h := c.hash(m.Source, from)
	s := &c.heard[h%unknownCapacity]
	first = *s
	*s = firstAnnounce{now, uint32(h >> 32), m.SequenceID}
	known := first.tag == s.tag && first.at != 0 && now.Sub(first.at) <= window
	later := m.SequenceID - first.seq
	if known && later == 0 { // the same message once more
		*s = first
	}
	return first, known && 0 < later && later <= foreignWindow
}

// hash depends on the secret, so that senders cannot choose where they are remembered.
func (c *unknownMasters) hash(id wire.PortIdentity, from Address) uint64 {
	a := from.IP.As16()
	mac := uint64(binary.BigEndian.Uint32(from.MAC[:]))<<16 | uint64(binary.BigEndian.Uint16(from.MAC[4:]))
	h := mix(binary.BigEndian.Uint64(id.Clock[:])^c.secret[0], uint64(id.Port)^mac<<16^c.secret[1])
	h = mix(h^binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])^c.secret[0])
	return mix(h^c.secret[1], c.secret[0])
}

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
