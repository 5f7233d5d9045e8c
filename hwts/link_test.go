// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
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
	want := link{5, "eth0.7", "vlan", 2, unix.IFF_UP | unix.IFF_RUNNING, MAC{2, 0, 0, 0, 0, 9}}
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

func FuzzParseTSInfo(f *testing.F) {
	f.Add([]byte{})
	f.Add(tsInfoMessage(f, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := parseTSInfo(b); err == nil && (info.phc < -1 || info.phc > 65533) {
			t.Errorf("PHC %d", info.phc)
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
