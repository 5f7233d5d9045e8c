// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tsInfo is what ETHTOOL_MSG_TSINFO_GET and ETHTOOL_GET_TS_INFO tell.
type tsInfo struct {
	flags uint32
	tx    TxTypes
	rx    RxFilters
	phc   int
	// provider and statistics are nil where they are not told.
	provider   *Provider
	statistics *Statistics
}

// requestTSInfo asks over generic netlink, which Linux has since 5.13. flags are those of the request's header
// (ETHTOOL_FLAG_*).
func requestTSInfo(c *genetlink.Conn, family uint16, ifname string, flags uint32) (tsInfo, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(unix.ETHTOOL_A_TSINFO_HEADER, func(ae *netlink.AttributeEncoder) error {
		ae.String(unix.ETHTOOL_A_HEADER_DEV_NAME, ifname)
		ae.Uint32(unix.ETHTOOL_A_HEADER_FLAGS, flags)
		return nil
	})
	data, err := ae.Encode()
	if err != nil {
		return tsInfo{}, err
	}
	replies, err := c.Execute(genetlink.Message{
		Header: genetlink.Header{Command: unix.ETHTOOL_MSG_TSINFO_GET, Version: unix.ETHTOOL_GENL_VERSION},
		Data:   data,
	}, family, netlink.Request)
	if err != nil {
		return tsInfo{}, err
	}
	if len(replies) != 1 {
		return tsInfo{}, fmt.Errorf("%d replies, want 1", len(replies))
	}
	return parseTSInfo(replies[0].Data)
}

// parseTSInfo reads the attributes of a TSINFO reply with compact bit sets.
func parseTSInfo(b []byte) (tsInfo, error) {
	info, provider, statistics := tsInfo{phc: -1}, Provider{PHC: -1}, Statistics{}
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return info, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.ETHTOOL_A_TSINFO_TIMESTAMPING:
			ad.Nested(bitset(&info.flags))
		case unix.ETHTOOL_A_TSINFO_TX_TYPES:
			ad.Nested(bitset((*uint32)(&info.tx)))
		case unix.ETHTOOL_A_TSINFO_RX_FILTERS:
			ad.Nested(bitset((*uint32)(&info.rx)))
		case unix.ETHTOOL_A_TSINFO_PHC_INDEX:
			info.phc = phcIndex(int32(ad.Uint32()))
		case unix.ETHTOOL_A_TSINFO_STATS:
			ad.Nested(statistics.parse)
		case unix.ETHTOOL_A_TSINFO_HWTSTAMP_PROVIDER:
			ad.Nested(provider.parse)
			info.provider = &provider
		case tsinfoSource:
			provider.Source = ProviderSource(ad.Uint32())
		case tsinfoPHYIndex:
			provider.PHY = int(ad.Uint32())
		}
	}
	if statistics != (Statistics{}) {
		info.statistics = &statistics
	}
	return info, ad.Err()
}

// over returns what is known of an interface by what it tells itself, and by the NIC beneath it where it tells nothing.
func (i tsInfo) over(nic tsInfo) tsInfo {
	if i.phc < 0 {
		return nic
	}
	if i.statistics == nil {
		i.statistics = nic.statistics
	}
	return i
}

// bitset returns a reader of a compact bit set's first 32 bits.
func bitset(to *uint32) func(*netlink.AttributeDecoder) error {
	return func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			if ad.Type() != unix.ETHTOOL_A_BITSET_VALUE {
				continue
			}
			b := ad.Bytes()
			if len(b) < 4 {
				return errors.New("bit set is too short")
			}
			*to = binary.NativeEndian.Uint32(b)
		}
		return ad.Err()
	}
}

// ioctlTSInfo asks by the older way.
func ioctlTSInfo(fd int, ifname string) (tsInfo, error) {
	raw, err := unix.IoctlGetEthtoolTsInfo(fd, ifname)
	if err != nil {
		return tsInfo{phc: -1}, fmt.Errorf("ETHTOOL_GET_TS_INFO of %s: %w", ifname, err)
	}
	return tsInfo{
		flags: raw.So_timestamping,
		tx:    TxTypes(raw.Tx_types),
		rx:    RxFilters(raw.Rx_filters),
		phc:   phcIndex(raw.Phc_index),
	}, nil
}

// phcIndex makes one value of all that mean none, those included that no clock.ID can have.
func phcIndex(i int32) int {
	const most = 65533
	if i < 0 || i > most {
		return -1
	}
	return int(i)
}
