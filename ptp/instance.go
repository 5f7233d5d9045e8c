// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// InstanceConfig says what the ports of an Instance have in common.
type InstanceConfig struct {
	// Identity of the clock; it must not be that of another device.
	Identity wire.ClockIdentity
	// Domain and SdoID are those of the messages to send and to use; others are refused. SdoID is 0 to 0xfff.
	Domain uint8
	SdoID  uint16
}

// Instance is a PTP Instance of IEEE 1588-2019: one clock identity in one domain, its ports, and its data sets. With one
// port it is an ordinary clock. Its methods, and those of its ports, have to be called from one goroutine.
//
// All ports are client ports: each follows the best master that it hears, whatever the other ports hear. A host has an
// Instance for each port of its configuration, with an identity made of the NIC's MAC. A boundary clock has all its ports
// in one Instance, with one identity.
type Instance struct {
	cfg   InstanceConfig
	ports []*Port // by number
}

// NewInstance makes an Instance without ports.
func NewInstance(cfg InstanceConfig) *Instance {
	cfg.SdoID &= wire.MaxSdoID
	return &Instance{cfg: cfg}
}

// AddPort makes a port in state Listening. It takes the place of the port that had the number, if there is one. Numbers are
// 1 to 65534; like the values of cfg, others are brought into their range. rng is used by the port alone.
func (i *Instance) AddPort(number uint16, cfg PortConfig, rng *rand.Rand, out Output) *Port {
	number = min(max(number, 1), maxPortNumber)
	p := newPort(i, number, cfg, rng, out)
	at, found := slices.BinarySearchFunc(i.ports, number,
		func(p *Port, n uint16) int { return cmp.Compare(p.identity.Port, n) })
	if found {
		i.ports[at] = p
	} else {
		i.ports = slices.Insert(i.ports, at, p)
	}
	return p
}

// maxPortNumber is the largest port number; 0 and 65535 name no port (IEEE 1588-2019 §7.5.2.3).
const maxPortNumber = 0xfffe

// DefaultDS is the defaultDS (IEEE 1588-2019 §8.2.1).
type DefaultDS struct {
	Identity             wire.ClockIdentity
	NumberPorts          uint16
	Quality              wire.ClockQuality
	Priority1, Priority2 uint8
	Domain               uint8
	SdoID                uint16
	SlaveOnly            bool
}

// DefaultDS returns the defaultDS: that of an instance that never is a master.
func (i *Instance) DefaultDS() DefaultDS {
	return DefaultDS{
		Identity:    i.cfg.Identity,
		NumberPorts: uint16(min(len(i.ports), maxPortNumber)),
		Quality: wire.ClockQuality{Class: slaveOnlyClass, Accuracy: wire.AccuracyUnknown,
			OffsetScaledLogVariance: unknownVariance},
		Priority1: slaveOnlyPriority1,
		Priority2: defaultPriority2,
		Domain:    i.cfg.Domain,
		SdoID:     i.cfg.SdoID,
		SlaveOnly: true,
	}
}

const (
	slaveOnlyClass  = 255    // IEEE 1588-2019 §7.6.2.5, table 4
	unknownVariance = 0xffff // §7.6.3.3: not computed
	// slaveOnlyPriority1 is what IEEE 802.1AS-2020 §8.6.2.1 has instances announce that cannot be grandmaster.
	slaveOnlyPriority1 = 255
	defaultPriority2   = 128 // IEEE 1588-2019 annex I.3.2
)

// CurrentDS is the currentDS (IEEE 1588-2019 §8.2.2).
type CurrentDS struct {
	// StepsRemoved is the number of communication paths to the grandmaster: 1 if that is the parent, 0 without a parent.
	StepsRemoved uint16
	// OffsetFromMaster and MeanDelay are those measured last; 0 until the path delay is known.
	OffsetFromMaster, MeanDelay time.Duration
}

// CurrentDS returns the currentDS.
func (i *Instance) CurrentDS() CurrentDS {
	p := i.best()
	if p == nil {
		return CurrentDS{}
	}
	c := CurrentDS{StepsRemoved: p.masters.rows[p.parent].announce.StepsRemoved + 1}
	if m := &p.measurement; m.DelayKnown {
		c.OffsetFromMaster, c.MeanDelay = m.Offset, m.MeanPathDelay.Duration()
	}
	return c
}

// ParentDS is the parentDS (IEEE 1588-2019 §8.2.3).
type ParentDS struct {
	// Port is parentPortIdentity.
	Port wire.PortIdentity
	// The grandmaster's attributes.
	Grandmaster          wire.ClockIdentity
	Priority1, Priority2 uint8
	Quality              wire.ClockQuality
}

// ParentDS returns the parentDS. Without a parent it names the instance itself, and port 0 (IEEE 1588-2019 §8.2.3).
func (i *Instance) ParentDS() ParentDS {
	if p := i.best(); p != nil {
		return p.masters.rows[p.parent].announce.ParentDS
	}
	d := i.DefaultDS()
	return ParentDS{Port: wire.PortIdentity{Clock: d.Identity}, Grandmaster: d.Identity, Priority1: d.Priority1,
		Priority2: d.Priority2, Quality: d.Quality}
}

// TimePropertiesDS returns the timePropertiesDS (IEEE 1588-2019 §8.2.4), the zero value without a parent: nothing is known
// of the timescale.
func (i *Instance) TimePropertiesDS() wire.TimeProperties {
	if p := i.best(); p != nil {
		return p.masters.rows[p.parent].announce.Time
	}
	return wire.TimeProperties{}
}

// best returns the port whose parent is the best, the one that received E_best (IEEE 1588-2019 §9.3.2.2); nil if no port
// has a parent.
func (i *Instance) best() *Port {
	var best *Port
	for _, p := range i.ports {
		if p.parent >= 0 && (best == nil || p.betterParent(best)) {
			best = p
		}
	}
	return best
}

// betterParent reports whether the port's parent is better than that of o. Both have one.
func (p *Port) betterParent(o *Port) bool {
	return Compare(&p.masters.rows[p.parent].data, &o.masters.rows[o.parent].data) < 0
}

// Rank returns for each port how many of the others have a better parent, by the data set comparison of IEEE 1588-2019
// §9.3.4. It is 0 for ports without a parent and for nil. The ports may belong to several instances.
func Rank(ports []*Port) []int {
	ranks := make([]int, len(ports))
	has := func(p *Port) bool { return p != nil && p.parent >= 0 }
	for i, p := range ports {
		for _, o := range ports {
			if has(p) && has(o) && o != p && o.betterParent(p) {
				ranks[i]++
			}
		}
	}
	return ranks
}
