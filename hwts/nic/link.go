// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
)

// link is an interface as rtnetlink describes it.
type link struct {
	index    int
	name     string
	kind     string // "vlan", "veth"; empty for most NICs
	parent   int    // index of the interface it is on top of, 0 if none or in another namespace
	flags    uint32
	hardware hwts.MAC
	// permanent is the hardware address that the interface was made with, empty if it has none or the kernel does not tell
	// it (IFLA_PERM_ADDRESS, since Linux 5.6). Addresses of InfiniBand are of 20 bytes.
	permanent string
}

func (l *link) loopback() bool { return l.flags&unix.IFF_LOOPBACK != 0 }

// up reports whether the interface is up and has a carrier.
func (l *link) up() bool {
	const want = unix.IFF_UP | unix.IFF_RUNNING
	return l.flags&want == want
}

// parseLink reads the payload of an RTM_NEWLINK or RTM_DELLINK message.
func parseLink(b []byte) (l link, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return l, errors.New("link message is too short")
	}
	if b[0] != unix.AF_UNSPEC {
		return l, errors.New("link message of a bridge, about a port of its own")
	}
	l.index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	l.flags = binary.NativeEndian.Uint32(b[8:])
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return l, fmt.Errorf("link message: %w", err)
	}
	elsewhere := false
	for ad.Next() {
		switch ad.Type() {
		case unix.IFLA_IFNAME:
			l.name = ad.String()
		case unix.IFLA_LINK:
			l.parent = int(int32(ad.Uint32()))
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_ADDRESS:
			if a := ad.Bytes(); len(a) == len(l.hardware) {
				copy(l.hardware[:], a)
			}
		case unix.IFLA_PERM_ADDRESS:
			l.permanent = net.HardwareAddr(ad.Bytes()).String()
		case unix.IFLA_LINKINFO:
			ad.Nested(l.parseInfo)
		}
	}
	if err := ad.Err(); err != nil {
		return l, fmt.Errorf("link message: %w", err)
	}
	if l.index <= 0 || l.name == "" {
		return l, errors.New("link message without index or name")
	}
	if elsewhere || l.parent < 0 {
		l.parent = 0
	}
	return l, nil
}

func (l *link) parseInfo(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() == unix.IFLA_INFO_KIND {
			l.kind = ad.String()
		}
	}
	return ad.Err()
}

// listLinks returns all interfaces of the network namespace.
func listLinks() ([]link, error) {
	const attempts = 5 // a listing during which something changes is begun anew
	var err error
	for range attempts {
		var links []link
		if links, err = dumpLinks(); err == nil {
			return links, nil
		}
	}
	return nil, fmt.Errorf("list interfaces: %w", err)
}

func dumpLinks() ([]link, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfInfomsg),
	})
	if err != nil {
		return nil, err
	}
	links := make([]link, 0, len(messages))
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK {
			continue
		}
		l, err := parseLink(m.Data)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}
