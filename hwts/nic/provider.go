// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
)

// Attributes of ETHTOOL_MSG_TSINFO_GET_REPLY that x/sys does not have.
const (
	tsinfoSource   = 8 // ETHTOOL_A_TSINFO_HWTSTAMP_SOURCE
	tsinfoPHYIndex = 9 // ETHTOOL_A_TSINFO_HWTSTAMP_PHYINDEX

	providerIndex     = 1 // ETHTOOL_A_TS_HWTSTAMP_PROVIDER_INDEX
	providerQualifier = 2 // ETHTOOL_A_TS_HWTSTAMP_PROVIDER_QUALIFIER

	statPackets     = 1 // ETHTOOL_A_TS_STAT_TX_PKTS
	statLost        = 2 // ETHTOOL_A_TS_STAT_TX_LOST
	statErrors      = 3 // ETHTOOL_A_TS_STAT_TX_ERR
	statUnconfirmed = 4 // ETHTOOL_A_TS_STAT_TX_ONESTEP_PKTS_UNCONFIRMED
)

// Provider is who gives the hardware stamps of an interface, of the several that may be on the way to the wire. It is
// comparable.
type Provider struct {
	// PHC is the N of /dev/ptpN, -1 if not told.
	PHC int `json:"phc"`
	// Qualifier tells stamps of different worth by one clock apart.
	Qualifier Qualifier `json:"qualifier"`
	// Source is where the stamps are taken; SourceUnknown where the kernel does not tell.
	Source ProviderSource `json:"source,omitempty"`
	// PHY is the number of the PHY that takes them, 0 unless Source is SourcePHY.
	PHY int `json:"phy,omitempty"`
}

// Qualifier is how exact a provider's stamps are; the kernel's enum hwtstamp_provider_qualifier.
type Qualifier uint32

// Qualifiers.
const (
	// Precise: taken where the packet leaves or enters the device.
	Precise Qualifier = 0
	// Approximate: taken on the way, as by DMA.
	Approximate Qualifier = 1
)

// String returns "precise" or "approximate".
func (q Qualifier) String() string { return nameOf([]string{"precise", "approximate"}, int(q)) }

// MarshalText has JSON show the name.
func (q Qualifier) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// ProviderSource is the kind of device that takes stamps; the kernel's enum hwtstamp_source.
type ProviderSource uint32

// Sources.
const (
	// SourceUnknown: not told.
	SourceUnknown ProviderSource = 0
	// SourceMAC: the MAC, or a device that has MAC and PHY in one.
	SourceMAC ProviderSource = 1
	// SourcePHY: a PHY of its own.
	SourcePHY ProviderSource = 2
)

// String returns "mac", "phy" or "unknown".
func (s ProviderSource) String() string { return nameOf([]string{"unknown", "mac", "phy"}, int(s)) }

// MarshalText has JSON show the name.
func (s ProviderSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns "/dev/ptp0, precise, by phy 1".
func (p Provider) String() string {
	s := "no clock"
	if p.PHC >= 0 {
		s = fmt.Sprintf("/dev/ptp%d", p.PHC)
	}
	s += ", " + p.Qualifier.String()
	switch p.Source {
	case SourceUnknown:
		return s
	case SourcePHY:
		return fmt.Sprintf("%s, by %v %d", s, p.Source, p.PHY)
	}
	return fmt.Sprintf("%s, by %v", s, p.Source)
}

// Statistics counts the hardware transmit stamps of a NIC since its driver was loaded. What the driver does not count is
// nil.
type Statistics struct {
	// Packets that were stamped.
	Packets *uint64 `json:"tx_packets,omitempty"`
	// Lost are the stamps that never came.
	Lost *uint64 `json:"tx_lost,omitempty"`
	// Errors are packets that could not be stamped for another reason.
	Errors *uint64 `json:"tx_errors,omitempty"`
	// Unconfirmed are one-step packets, of which the hardware does not tell whether it stamped them.
	Unconfirmed *uint64 `json:"tx_onestep_unconfirmed,omitempty"`
}

// parse reads the nest ETHTOOL_A_TSINFO_HWTSTAMP_PROVIDER.
func (p *Provider) parse(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case providerIndex:
			p.PHC = phcIndex(int32(ad.Uint32()))
		case providerQualifier:
			p.Qualifier = Qualifier(ad.Uint32())
		}
	}
	return ad.Err()
}

// parse reads the nest ETHTOOL_A_TSINFO_STATS, which is empty where the driver counts nothing.
func (s *Statistics) parse(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		var to **uint64
		switch ad.Type() {
		case statPackets:
			to = &s.Packets
		case statLost:
			to = &s.Lost
		case statErrors:
			to = &s.Errors
		case statUnconfirmed:
			to = &s.Unconfirmed
		default:
			continue
		}
		v, err := flexible(ad.Bytes())
		if err != nil {
			return err
		}
		*to = &v
	}
	return ad.Err()
}

// flexible reads an unsigned integer of 4 or 8 bytes; the kernel sends the shorter where that does.
func flexible(b []byte) (uint64, error) {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), nil
	case 8:
		return binary.NativeEndian.Uint64(b), nil
	}
	return 0, errors.New("integer is neither of 4 nor of 8 bytes")
}
