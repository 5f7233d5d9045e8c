// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"fmt"
	"strings"

	"github.com/mdlayher/ethtool"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/internal/plain"
)

// Capabilities says what an interface is and what its NIC can timestamp. All but Up, Speed, Duplex and Statistics
// hold for as long as the interface has this Index, and may be kept; Provider, and with it PHC, until somebody chooses
// another one.
type Capabilities struct {
	// Interface is the name, Index the kernel's number of the interface.
	Interface string `json:"interface"`
	Index     int    `json:"index"`
	// MAC is the hardware address, zero if it has none.
	MAC hwts.MAC `json:"mac"`
	// Kind of a virtual interface, such as "vlan" or "veth"; empty for most NICs.
	Kind string `json:"kind,omitempty"`
	// NIC is the name of the interface whose driver does the timestamping: of a VLAN the interface beneath it, otherwise
	// Interface itself. Interfaces of the same NIC share its configuration and its PHC.
	NIC string `json:"nic"`
	// Driver is the name of the driver, Bus the NIC's place in the machine, such as a PCI address; empty if not told.
	Driver string `json:"driver,omitempty"`
	Bus    string `json:"bus,omitempty"`
	// PHC is the N of /dev/ptpN, -1 if the NIC has none.
	PHC int `json:"phc"`
	// Provider of the stamps; nil where there is none, or before Linux 6.14.
	Provider *Provider `json:"provider,omitempty"`
	// TxTypes and RxFilters that the driver has.
	TxTypes   TxTypes   `json:"tx_types"`
	RxFilters RxFilters `json:"rx_filters"`
	// Flags are the SOF_TIMESTAMPING_* that the driver has.
	Flags uint32 `json:"flags"`
	// Up: the interface is up and has a carrier.
	Up bool `json:"up"`
	// Speed in Mbit/s, 0 if unknown; Duplex is "full", "half" or "unknown".
	Speed  int    `json:"speed_mbit"`
	Duplex string `json:"duplex"`
	// Statistics of transmit stamps; nil where the driver counts none, or before Linux 6.10.
	Statistics *Statistics `json:"statistics,omitempty"`
}

// Clock returns the ID of the PHC, the zero one if there is none.
func (c *Capabilities) Clock() clock.ID {
	if c.PHC < 0 {
		return 0
	}
	return clock.PHC(c.PHC)
}

// Hardware reports whether the NIC stamps transmitted and received packets by a PHC.
func (c *Capabilities) Hardware() bool {
	const want = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE |
		unix.SOF_TIMESTAMPING_RAW_HARDWARE
	return c.PHC >= 0 && c.Flags&want == want && c.TxTypes.Has(TxOn)
}

// KernelTransmit reports whether the driver has the kernel stamp transmitted packets. Received ones it always stamps.
func (c *Capabilities) KernelTransmit() bool { return c.Flags&unix.SOF_TIMESTAMPING_TX_SOFTWARE != 0 }

// Probe asks the kernel what an interface can do. It needs no privilege. It fails with hwts.ErrNoInterface. What a driver
// does not tell is left zero, or -1 for PHC.
func Probe(ifname string) (Capabilities, error) {
	p, l, err := proberOf(ifname)
	if err != nil {
		return Capabilities{}, fmt.Errorf("probe %s: %w", ifname, err)
	}
	defer p.close()
	return p.probe(l), nil
}

// Discover returns the capabilities of every interface but the loopback one, in the kernel's order.
func Discover() ([]Capabilities, error) {
	links, err := listLinks()
	if err != nil {
		return nil, fmt.Errorf("discover interfaces: %w", err)
	}
	p, err := newProber(links)
	if err != nil {
		return nil, fmt.Errorf("discover interfaces: %w", err)
	}
	defer p.close()
	var all []Capabilities
	for i := range links {
		if !links[i].loopback() {
			all = append(all, p.probe(&links[i]))
		}
	}
	return all, nil
}

// prober has what asking takes. The netlink connections are nil where the kernel has no such thing.
type prober struct {
	links   []link
	fd      int
	generic *genetlink.Conn
	family  uint16
	ethtool *ethtool.Client
	// tsInfo is what an interface tells; nothing, and the kernel's error, if it does not answer.
	tsInfo func(ifname string) (tsInfo, error)
}

// proberOf returns a prober and the interface of that name. It fails with hwts.ErrNoInterface.
func proberOf(ifname string) (*prober, *link, error) {
	links, err := listLinks()
	if err != nil {
		return nil, nil, err
	}
	for i := range links {
		if links[i].name == ifname {
			p, err := newProber(links)
			return p, &links[i], err
		}
	}
	return nil, nil, hwts.ErrNoInterface
}

func newProber(links []link) (*prober, error) {
	fd, err := ioctlSocket()
	if err != nil {
		return nil, err
	}
	p := &prober{links: links, fd: fd}
	p.tsInfo = p.askTSInfo
	if conn, err := genetlink.Dial(&netlink.Config{Strict: true}); err == nil {
		if family, err := conn.GetFamily(unix.ETHTOOL_GENL_NAME); err == nil {
			p.generic, p.family = conn, family.ID
		} else {
			conn.Close()
		}
	}
	if client, err := ethtool.New(); err == nil {
		p.ethtool = client
	}
	return p, nil
}

func (p *prober) close() {
	unix.Close(p.fd)
	if p.generic != nil {
		p.generic.Close()
	}
	if p.ethtool != nil {
		p.ethtool.Close()
	}
}

func (p *prober) probe(l *link) Capabilities {
	c := Capabilities{
		Interface: l.name, Index: l.index, MAC: l.hardware, Kind: plain.Short(l.kind), NIC: l.name, PHC: -1, Up: l.up(),
		Duplex: "unknown",
	}
	nic := p.nic(l)
	c.NIC = nic.name
	info, _ := p.timestamping(l, nic) // an error has it say that there is nothing
	c.PHC, c.TxTypes, c.RxFilters, c.Flags = info.phc, info.tx, info.rx, info.flags
	c.Provider, c.Statistics = info.provider, info.statistics
	if d, err := unix.IoctlGetEthtoolDrvinfo(p.fd, nic.name); err == nil {
		c.Driver, c.Bus = plain.Short(unix.ByteSliceToString(d.Driver[:])), plain.Short(unix.ByteSliceToString(d.Bus_info[:]))
	}
	p.link(&c)
	return c
}

// timestamping returns what an interface, or else the NIC below it, can stamp. It fails if neither answers.
func (p *prober) timestamping(l, nic *link) (tsInfo, error) {
	info, err := p.tsInfo(l.name)
	if nic == l {
		return info, err
	}
	below, errBelow := p.tsInfo(nic.name)
	if err == nil {
		errBelow = nil
	}
	return info.over(below), errBelow
}

// nic returns the interface whose driver stamps what goes through l: the kernel hands both the question and the
// configuration down through VLANs and MAC VLANs.
func (p *prober) nic(l *link) *link {
	const deepest = 8
	for range deepest {
		if l.parent == 0 || (l.kind != "vlan" && l.kind != "macvlan") {
			return l
		}
		parent := p.byIndex(l.parent)
		if parent == nil {
			return l
		}
		l = parent
	}
	return l
}

func (p *prober) byIndex(index int) *link {
	for i := range p.links {
		if p.links[i].index == index {
			return &p.links[i]
		}
	}
	return nil
}

func (p *prober) askTSInfo(ifname string) (tsInfo, error) {
	if p.generic != nil {
		// Kernels before 6.10 refuse the flag for statistics.
		for _, flags := range [...]uint32{unix.ETHTOOL_FLAG_COMPACT_BITSETS | unix.ETHTOOL_FLAG_STATS,
			unix.ETHTOOL_FLAG_COMPACT_BITSETS} {
			if info, err := requestTSInfo(p.generic, p.family, ifname, flags); err == nil {
				return info, nil
			}
		}
	}
	return ioctlTSInfo(p.fd, ifname)
}

func (p *prober) link(c *Capabilities) {
	if p.ethtool == nil {
		return
	}
	mode, err := p.ethtool.LinkMode(ethtool.Interface{Name: c.Interface})
	if err != nil {
		return
	}
	if mode.SpeedMegabits > 0 && mode.SpeedMegabits < 1<<31-1 {
		c.Speed = mode.SpeedMegabits
	}
	if mode.Duplex == ethtool.Half || mode.Duplex == ethtool.Full {
		c.Duplex = strings.ToLower(mode.Duplex.String())
	}
}
