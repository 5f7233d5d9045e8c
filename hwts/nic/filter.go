// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// TxType says which transmitted packets the NIC stamps, and where the stamp goes; the kernel's enum hwtstamp_tx_types.
type TxType uint8

// Transmit types.
const (
	// TxOff: none.
	TxOff TxType = unix.HWTSTAMP_TX_OFF
	// TxOn: those of sockets that ask for it; the stamp comes back to the socket.
	TxOn TxType = unix.HWTSTAMP_TX_ON
	// TxOneStepSync: as TxOn, but Sync messages carry their stamp themselves, and none comes back.
	TxOneStepSync TxType = unix.HWTSTAMP_TX_ONESTEP_SYNC
	// TxOneStepP2P: as TxOneStepSync, and Pdelay_Resp messages carry theirs too.
	TxOneStepP2P TxType = unix.HWTSTAMP_TX_ONESTEP_P2P
)

// RxFilter says which received packets the NIC stamps at least; the kernel's enum hwtstamp_rx_filters.
type RxFilter uint8

// Receive filters that matter here; the others have numbers and names too.
const (
	// RxNone: none.
	RxNone RxFilter = unix.HWTSTAMP_FILTER_NONE
	// RxAll: every packet.
	RxAll RxFilter = unix.HWTSTAMP_FILTER_ALL
	// RxPTPv2L4Event: PTP version 2 event messages over UDP.
	RxPTPv2L4Event RxFilter = unix.HWTSTAMP_FILTER_PTP_V2_L4_EVENT
	// RxPTPv2L2Event: PTP version 2 event messages over Ethernet.
	RxPTPv2L2Event RxFilter = unix.HWTSTAMP_FILTER_PTP_V2_L2_EVENT
	// RxPTPv2Event: PTP version 2 event messages over either.
	RxPTPv2Event RxFilter = unix.HWTSTAMP_FILTER_PTP_V2_EVENT
	// RxNTPAll: every NTP packet.
	RxNTPAll RxFilter = unix.HWTSTAMP_FILTER_NTP_ALL
)

func txTypeNames() []string { return []string{"off", "on", "onestep-sync", "onestep-p2p"} }

func rxFilterNames() []string {
	return []string{
		"none", "all", "some",
		"ptpv1-l4-event", "ptpv1-l4-sync", "ptpv1-l4-delay-req",
		"ptpv2-l4-event", "ptpv2-l4-sync", "ptpv2-l4-delay-req",
		"ptpv2-l2-event", "ptpv2-l2-sync", "ptpv2-l2-delay-req",
		"ptpv2-event", "ptpv2-sync", "ptpv2-delay-req",
		"ntp-all",
	}
}

// nameOf returns the name of the i-th of a kernel's enumeration, and its number where it is newer than this program.
func nameOf(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown-%d", i)
}

// parse finds a name, without regard to case.
func parse(what, s string, names []string) (int, error) {
	for i, name := range names {
		if strings.EqualFold(s, name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %s %q, want one of %s", ErrConfig, what, s, strings.Join(names, ", "))
}

// String returns the name that ethtool has for it, such as "onestep-sync".
func (t TxType) String() string { return nameOf(txTypeNames(), int(t)) }

// String returns the name that ethtool has for it, such as "ptpv2-event".
func (f RxFilter) String() string { return nameOf(rxFilterNames(), int(f)) }

// ParseTxType reads what TxType.String writes. It fails with ErrConfig.
func ParseTxType(s string) (TxType, error) {
	i, err := parse("transmit type", s, txTypeNames())
	return TxType(i), err
}

// ParseRxFilter reads what RxFilter.String writes. It fails with ErrConfig.
func ParseRxFilter(s string) (RxFilter, error) {
	i, err := parse("receive filter", s, rxFilterNames())
	return RxFilter(i), err
}

// TxTypes is a set of transmit types, bit n being type n.
type TxTypes uint32

// Has reports whether t is in the set.
func (s TxTypes) Has(t TxType) bool { return t < 32 && s&(1<<t) != 0 }

// List returns the types in the set, in the order of their numbers.
func (s TxTypes) List() []TxType { return list[TxType](uint32(s)) }

// RxFilters is a set of receive filters, bit n being filter n.
type RxFilters uint32

// Has reports whether f is in the set.
func (s RxFilters) Has(f RxFilter) bool { return f < 32 && s&(1<<f) != 0 }

// List returns the filters in the set, in the order of their numbers.
func (s RxFilters) List() []RxFilter { return list[RxFilter](uint32(s)) }

func list[T ~uint8](bits uint32) (all []T) {
	for i := range T(32) {
		if bits&(1<<i) != 0 {
			all = append(all, i)
		}
	}
	return all
}
