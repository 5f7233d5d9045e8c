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

// crowdSize is how many strangers are remembered, in 128 KiB. Of a master that announces itself once a second beside 10,000
// invented ones that never do it twice, 3 in 10 messages are still remembered when the next one comes.
const crowdSize = 8192

// crowd remembers who has announced himself once and found no place in the foreign master table. Masters do it again, and
// are let in then; what is invented for each message is not. Strangers whose hashes collide displace each other.
type crowd struct {
	secret [2]uint64
	met    []stranger // none as long as there is no crowd
}

// stranger is one message: when it came, its sequenceId, and the part of its sender's hash that is not its place.
type stranger struct {
	at  clock.Mono
	tag uint32
	seq uint16
}

// meet notes a message, and returns the one that was noted of the same sender within the window, if there is one and their
// sequenceIds are as close as those of a master are then.
func (c *crowd) meet(now clock.Mono, m *wire.Announce, from Address, window time.Duration, rng *rand.Rand) (first stranger, again bool) {
	if c.met == nil {
		*c = crowd{[2]uint64{rng.Uint64(), rng.Uint64()}, make([]stranger, crowdSize)}
	}
	h := c.hash(m.Source, from)
	s := &c.met[h%crowdSize]
	first = *s
	*s = stranger{now, uint32(h >> 32), m.SequenceID}
	known := first.tag == s.tag && first.at != 0 && now.Sub(first.at) <= window
	later := m.SequenceID - first.seq
	if known && later == 0 { // the same message once more
		*s = first
	}
	return first, known && 0 < later && later <= foreignWindow
}

// hash is one that nobody can aim at without the secret.
func (c *crowd) hash(id wire.PortIdentity, from Address) uint64 {
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

// formerParents are the latest masters that this port has been measured by. They always get a place in the table.
type formerParents [4]struct {
	port    wire.PortIdentity
	address Address
}

func (f *formerParents) remember(p *Parent) {
	i := 0
	for i < len(f)-1 && !(f[i].port == p.Port && f[i].address == p.Address) {
		i++
	}
	copy(f[1:i+1], f[:i])
	f[0].port, f[0].address = p.Port, p.Address
}

func (f *formerParents) has(port wire.PortIdentity, address Address) bool {
	for i := range f {
		if f[i].port == port && f[i].address == address {
			return true
		}
	}
	return false
}
