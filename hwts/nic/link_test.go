// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
)

func encode(t testing.TB, attributes func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	attributes(ae)
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func linkMessage(t testing.TB, index int32, flags uint32, attributes func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	return append(b, encode(t, attributes)...)
}

func vlanMessage(t testing.TB, elsewhere bool) []byte {
	t.Helper()
	return linkMessage(t, 5, unix.IFF_UP|unix.IFF_RUNNING, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, "eth0.7")
		ae.Uint32(unix.IFLA_LINK, 2)
		ae.Bytes(unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 9})
		ae.Bytes(unix.IFLA_PERM_ADDRESS, []byte{2, 0, 0, 0, 0, 8})
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, "vlan")
			return nil
		})
		if elsewhere {
			ae.Uint32(unix.IFLA_LINK_NETNSID, 0)
		}
	})
}

func TestParseLink(t *testing.T) {
	want := link{5, "eth0.7", "vlan", 2, unix.IFF_UP | unix.IFF_RUNNING, hwts.MAC{2, 0, 0, 0, 0, 9}, "02:00:00:00:00:08"}
	if got, err := parseLink(vlanMessage(t, false)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	want.parent = 0
	if got, err := parseLink(vlanMessage(t, true)); err != nil || got != want {
		t.Errorf("on top of another namespace's: got %+v, %v, want %+v", got, err, want)
	}
	bridge := vlanMessage(t, false)
	bridge[0] = unix.AF_BRIDGE
	for name, b := range map[string][]byte{
		"empty": nil, "a bridge's": bridge, "cut": vlanMessage(t, false)[:unix.SizeofIfInfomsg+6],
		"nameless": linkMessage(t, 1, 0, func(*netlink.AttributeEncoder) {}),
		"negative": linkMessage(t, -1, 0, func(ae *netlink.AttributeEncoder) { ae.String(unix.IFLA_IFNAME, "x") }),
	} {
		if got, err := parseLink(b); err == nil {
			t.Errorf("%s message: got %+v, want an error", name, got)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add([]byte{})
	f.Add(vlanMessage(f, false))
	f.Add(vlanMessage(f, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := parseLink(b); err == nil && (l.index <= 0 || l.name == "" || l.parent < 0) {
			t.Errorf("no error, and %+v", l)
		}
	})
}

func tsInfoMessage(t testing.TB, phc uint32) []byte {
	t.Helper()
	set := func(bits uint32) func(*netlink.AttributeEncoder) error {
		return func(ae *netlink.AttributeEncoder) error {
			ae.Flag(unix.ETHTOOL_A_BITSET_NOMASK, true)
			ae.Uint32(unix.ETHTOOL_A_BITSET_SIZE, 18)
			ae.Bytes(unix.ETHTOOL_A_BITSET_VALUE, binary.NativeEndian.AppendUint32(nil, bits))
			return nil
		}
	}
	return encode(t, func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.ETHTOOL_A_TSINFO_TIMESTAMPING, set(95))
		ae.Nested(unix.ETHTOOL_A_TSINFO_TX_TYPES, set(3))
		ae.Nested(unix.ETHTOOL_A_TSINFO_RX_FILTERS, set(4145))
		ae.Uint32(unix.ETHTOOL_A_TSINFO_PHC_INDEX, phc)
	})
}

func TestParseTSInfo(t *testing.T) {
	want := tsInfo{flags: 95, tx: 3, rx: 4145, phc: 0}
	if got, err := parseTSInfo(tsInfoMessage(t, 0)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got := want.rx.List(); !slices.Contains(got, RxPTPv2Event) || slices.Contains(got, RxAll) {
		t.Errorf("filters %v", got)
	}
	for _, phc := range []uint32{1<<32 - 1, 65534, 1 << 20} {
		if got, err := parseTSInfo(tsInfoMessage(t, phc)); err != nil || got.phc != -1 {
			t.Errorf("PHC %d: got %d, %v, want none", phc, got.phc, err)
		}
	}
	if got, err := parseTSInfo(nil); err != nil || got != (tsInfo{phc: -1}) {
		t.Errorf("empty: got %+v, %v, want nothing at all", got, err)
	}
	if _, err := parseTSInfo(tsInfoMessage(t, 0)[:21]); err == nil {
		t.Error("a cut message is no error")
	}
}

// newTSInfoMessage is of Linux 6.14 and newer: a PHY's clock 3, and statistics in integers of either width.
func newTSInfoMessage(t testing.TB) []byte {
	t.Helper()
	return append(tsInfoMessage(t, 3), encode(t, func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.ETHTOOL_A_TSINFO_STATS, func(ae *netlink.AttributeEncoder) error {
			ae.Uint64(statPackets, 1<<40)
			ae.Uint32(statLost, 7)
			ae.Uint32(statUnconfirmed, 0)
			ae.Uint32(99, 1)
			return nil
		})
		ae.Nested(unix.ETHTOOL_A_TSINFO_HWTSTAMP_PROVIDER, func(ae *netlink.AttributeEncoder) error {
			ae.Uint32(providerIndex, 3)
			ae.Uint32(providerQualifier, 1)
			return nil
		})
		ae.Uint32(tsinfoSource, 2)
		ae.Uint32(tsinfoPHYIndex, 5)
	})...)
}

func TestParseProviderAndStatistics(t *testing.T) {
	got, err := parseTSInfo(newTSInfoMessage(t))
	if err != nil || got.provider == nil || got.statistics == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if want := (Provider{PHC: 3, Qualifier: Approximate, Source: SourcePHY, PHY: 5}); *got.provider != want {
		t.Errorf("provider %+v, want %+v", *got.provider, want)
	}
	const shown = `{"provider":{"phc":3,"qualifier":"approximate","source":"phy","phy":5},` +
		`"statistics":{"tx_packets":1099511627776,"tx_lost":7,"tx_onestep_unconfirmed":0}}`
	j, err := json.Marshal(struct {
		Provider   *Provider   `json:"provider"`
		Statistics *Statistics `json:"statistics"`
	}{got.provider, got.statistics})
	if err != nil || string(j) != shown {
		t.Errorf("%s, %v, want %s", j, err, shown)
	}
	for want, p := range map[string]Provider{
		"/dev/ptp3, approximate, by phy 5": *got.provider,
		"/dev/ptp0, precise":               {},
		"/dev/ptp1, precise, by mac":       {PHC: 1, Source: SourceMAC},
		"no clock, unknown-9":              {PHC: -1, Qualifier: 9},
	} {
		if p.String() != want {
			t.Errorf("%q, want %q", p.String(), want)
		}
	}
}

// A driver that counts nothing has the kernel send an empty nest.
func TestParseNoStatistics(t *testing.T) {
	nest := func(fill func(*netlink.AttributeEncoder)) []byte {
		return encode(t, func(ae *netlink.AttributeEncoder) {
			ae.Nested(unix.ETHTOOL_A_TSINFO_STATS, func(ae *netlink.AttributeEncoder) error { fill(ae); return nil })
		})
	}
	if got, err := parseTSInfo(nest(func(*netlink.AttributeEncoder) {})); err != nil || got.statistics != nil ||
		got.provider != nil {
		t.Errorf("empty: got %+v, %v", got, err)
	}
	if _, err := parseTSInfo(nest(func(ae *netlink.AttributeEncoder) { ae.Uint16(statLost, 1) })); err == nil {
		t.Error("a counter of two bytes is no error")
	}
}

// What a VLAN does not tell is the NIC's.
func TestTSInfoOver(t *testing.T) {
	nic := tsInfo{phc: 2, tx: 3, statistics: &Statistics{}, provider: &Provider{PHC: 2}}
	if got := (tsInfo{phc: -1}).over(nic); got != nic {
		t.Errorf("got %+v, want %+v", got, nic)
	}
	vlan := tsInfo{phc: 2, tx: 1}
	if got := vlan.over(nic); got.tx != 1 || got.statistics != nic.statistics || got.provider != nil {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseTSInfo(f *testing.F) {
	f.Add([]byte{})
	f.Add(tsInfoMessage(f, 1))
	f.Add(newTSInfoMessage(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := parseTSInfo(b)
		if err != nil {
			return
		}
		none := func(phc int) bool { return phc < -1 || phc > 65533 }
		if none(info.phc) || info.provider != nil && none(info.provider.PHC) {
			t.Errorf("PHC %d, provider %v", info.phc, info.provider)
		}
		if info.statistics != nil && *info.statistics == (Statistics{}) {
			t.Error("statistics of nothing")
		}
	})
}

// A listing after lost messages tells the difference to what was told before, what is gone first.
func TestWatcherComparesAfterLostMessages(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	var got []Event
	w := watcher{known: make(map[int]link), handler: func(e Event) { got = append(got, e) }}
	w.compare([]link{{index: 1, name: "lo", flags: up}, {index: 2, name: "eth0", flags: up}, {index: 3, name: "eth1"}})
	got = nil
	w.compare([]link{{index: 1, name: "lo", flags: up}, {index: 3, name: "lan", flags: up}, {index: 9, name: "eth0"}})
	want := []Event{
		{Change: Removed, Name: "eth0", Index: 2},
		{Change: Renamed, Name: "lan", Index: 3, OldName: "eth1", Up: true},
		{Change: LinkUp, Name: "lan", Index: 3, Up: true},
		{Change: Added, Name: "eth0", Index: 9},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.gone(2)
	if len(got) != len(want) {
		t.Errorf("told again: %+v", got[len(want):])
	}
}
