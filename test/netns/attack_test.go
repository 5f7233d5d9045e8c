// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/test/peers"
)

const v6Port = `
[[ptp.port]]
interface = "eth0"
transport = "udp6"
timestamping = "kernel"
`

// portIdentity is that of a port of a daemon, which strangers know of its MAC.
func portIdentity(t *testing.T, d *daemon) wire.PortIdentity {
	t.Helper()
	d.await(t, "the port is open", func(s *status.Snapshot) bool { return s.Ports[0].State == "listening" })
	return identityOf(d.ns.mac(t, "eth0"))
}

func identityOf(mac hwts.MAC) wire.PortIdentity {
	return wire.PortIdentity{Clock: wire.ClockIdentityFromMAC(mac), Port: 1}
}

// TestRoutedAttacker is on another network, behind a router, and hears nothing.
func TestRoutedAttacker(t *testing.T) {
	w := newCable(t)
	far := newNamespace(t)
	routed := routedNetworks{host: netip.MustParsePrefix("2001:db8:1::1/64"), router: netip.MustParsePrefix("2001:db8:1::2/64"),
		outside: netip.MustParsePrefix("2001:db8:2::1/64"), far: netip.MustParsePrefix("2001:db8:2::2/64")}
	routed.connect(t, w, far)
	d := newDaemon(t, w.host, v6Port, ptpPort)
	f := newForger(stranger(), portIdentity(t, d))
	reached := routed.reached(t, w, far)
	stop := f.attack(t,
		both(datagrams(t, far, anyPort(netip.IPv6Unspecified()), netip.AddrPortFrom(routed.host.Addr(), hwts.EventPort)),
			datagrams(t, far, anyPort(netip.IPv4Unspecified()), netip.AddrPortFrom(hostAddress, hwts.EventPort))),
		both(datagrams(t, far, anyPort(netip.IPv6Unspecified()), netip.AddrPortFrom(routed.host.Addr(), hwts.GeneralPort)),
			datagrams(t, far, anyPort(netip.IPv4Unspecified()), netip.AddrPortFrom(hostAddress, hwts.GeneralPort))))
	unheardButUnicast(t, d)
	stop()
	if !reached() {
		t.Fatal("what the attacker sends does not come through the router")
	}
	f.attack(t, datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.EventPort).UDP),
		datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.GeneralPort).UDP))
	obeyed(t, d, f)
}

func both(a, b func([]byte)) func([]byte) { return func(m []byte) { a(m); b(m) } }

// unheardButUnicast is unheard for attackers whose general messages reach the port, which refuses them.
func unheardButUnicast(t *testing.T, d *daemon) {
	t.Helper()
	last := throughout(t, d, func(s *status.Snapshot) {
		untouched(t, s)
		for _, p := range s.Ports {
			if p.Received[wire.MessageSync.String()] > 0 {
				t.Fatalf("a Sync by unicast is heard:\n%s", show(s))
			}
		}
	})
	if last.Ports[0].Dropped["unicast"] == 0 || last.Ports[1].Dropped["unicast"] == 0 {
		t.Errorf("no Announce by unicast has reached the ports:\n%s", show(last.Ports))
	}
}

// TestLocalAttacker is a program of an unprivileged user on the host itself. It knows the host's addresses, and has its
// multicast messages looped back.
func TestLocalAttacker(t *testing.T) {
	w := newCable(t)
	d := newDaemon(t, w.host, ptpPort)
	f := newForger(stranger(), portIdentity(t, d))
	var sent atomic.Uint64
	stop := f.attack(t, unprivileged(t, w.host, &sent, hwts.EventPort), unprivileged(t, w.host, &sent, hwts.GeneralPort))
	unheard(t, d)
	stop()
	if sent.Load() < 1000 {
		t.Errorf("%d datagrams were sent", sent.Load())
	}
	f.attack(t, datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.EventPort).UDP),
		datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.GeneralPort).UDP))
	obeyed(t, d, f)
}

// nobody is the uid of the local attacker.
const nobody = 65534

// unprivileged returns a function that sends to a port of the group and of the host's own address, by a thread that is
// nobody's; where this process cannot become another user, by one without capabilities.
func unprivileged(t *testing.T, n *namespace, sent *atomic.Uint64, port uint16) func([]byte) {
	t.Helper()
	messages, ready := make(chan []byte), make(chan error)
	group := hwts.UDP4.Primary(port).UDP
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		conns, err := func() (conns []net.PacketConn, err error) {
			if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
				return nil, err
			}
			if err := dropPrivileges(); err != nil {
				return nil, err
			}
			for _, to := range []netip.Addr{hostAddress, netip.IPv4Unspecified()} {
				conn, err := boundTo("eth0", to)
				if err != nil {
					return nil, err
				}
				conns = append(conns, conn)
			}
			return conns, nil
		}()
		ready <- err
		if err != nil {
			return
		}
		for b := range messages {
			for _, c := range conns {
				for _, to := range []netip.AddrPort{group, netip.AddrPortFrom(hostAddress, port)} {
					if _, err := c.WriteTo(b, net.UDPAddrFromAddrPort(to)); err == nil {
						sent.Add(1)
					}
				}
			}
		}
		for _, c := range conns {
			c.Close()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(messages) })
	return func(b []byte) { messages <- b }
}

// dropPrivileges makes the calling thread nobody's, or takes its capabilities away.
func dropPrivileges() error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno == 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

// boundTo makes a UDP socket on an interface, from an address or any.
func boundTo(name string, from netip.Addr) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			if err = unix.BindToDevice(int(fd), name); err == nil {
				err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, hostAddress.As4())
			}
		}), err)
	}}
	return lc.ListenPacket(context.Background(), "udp4", anyPort(from).String())
}

const l2Port = `
[[ptp.port]]
interface = "eth0"
transport = "l2"
timestamping = "kernel"
delay_request_interval = "125ms"
announce_receipt_timeout = 12
`

// frames returns a function that sends PTP over Ethernet from one MAC to another.
func frames(t *testing.T, w *cable, from, to hwts.MAC) func([]byte) {
	t.Helper()
	fd := -1
	w.peers.do(t, func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	t.Cleanup(func() { unix.Close(fd) })
	address := unix.SockaddrLinklayer{Ifindex: w.peers.index(t, "eth1"), Halen: 6}
	header := append(append([]byte{}, to[:]...), from[:]...)
	header = binary.BigEndian.AppendUint16(header, hwts.EtherType)
	return func(b []byte) {
		_ = unix.Sendto(fd, append(header[:len(header):len(header)], b...), 0, &address)
	}
}

func (n *namespace) mac(t *testing.T, name string) (mac hwts.MAC) {
	t.Helper()
	n.do(t, func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			copy(mac[:], ifi.HardwareAddr)
		}
		return err
	})
	return mac
}

// otherMAC is that of a station on the grandmaster's wire.
var otherMAC = hwts.MAC{2, 0, 0, 0, 0, 0x66}

// TestSecondMAC is a station that has the parent's identity, and claims to be a better clock.
func TestSecondMAC(t *testing.T) {
	w := newCable(t)
	newGrandmasterOver(t, w, hwts.Ethernet)
	d := newDaemon(t, w.host, l2Port, metricsSection)
	before := d.awaitSettled(t)
	f := newForger(masterIdentity(), stranger())
	send := frames(t, w, otherMAC, hwts.Ethernet.Primary(0).MAC)
	stop := f.attack(t, send, send)
	after := undisturbed(t, d, before)
	stop()
	for _, text := range []string{after.Ports[0].Conflict, after.Sources[0].Reason, d.log.String()} {
		if !strings.Contains(text, otherMAC.String()) {
			t.Errorf("the other station is not named: %q", text)
		}
	}
	name := `lockstep_port_parent_conflicts_total{domain="0",kind="address",port="eth0",sdo_id="0",transport="l2"}`
	if n := metric(t, d.metrics(t), name); n < 100 {
		t.Errorf("%v conflicts counted", n)
	}
}

// TestFramesNotToTheGroup are sent to the host's own MAC, and to all stations.
func TestFramesNotToTheGroup(t *testing.T) {
	w := newCable(t)
	d := newDaemon(t, w.host, l2Port)
	f := newForger(stranger(), portIdentity(t, d))
	broadcast := hwts.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	send := both(frames(t, w, otherMAC, w.host.mac(t, "eth0")), frames(t, w, otherMAC, broadcast))
	stop := f.attack(t, send, send)
	unheard(t, d)
	stop()
	send = frames(t, w, otherMAC, hwts.Ethernet.Primary(0).MAC)
	f.attack(t, send, send)
	obeyed(t, d, f)
}

// TestBlindDelayResp guesses what to answer, in the grandmaster's name and from its address.
func TestBlindDelayResp(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitSettled(t)
	client := identityOf(w.host.mac(t, "eth0"))
	none := func([]byte) {}
	only := func(send func([]byte)) func([]byte) {
		return func(b []byte) {
			if wire.MessageType(b[0]&0xf) == wire.MessageDelayResp {
				send(b)
			}
		}
	}
	for _, to := range []netip.AddrPort{netip.AddrPortFrom(hostAddress, hwts.GeneralPort),
		hwts.UDP4.Primary(hwts.GeneralPort).UDP} {
		newForger(masterIdentity(), client).attack(t, none, only(datagrams(t, w.peers, anyPort(peerAddress), to)))
	}
	after := undisturbed(t, d, before)
	if n := after.Ports[0].Dropped["unmatched"]; n < 1000 {
		t.Errorf("%d guesses were refused", n)
	}
	if delay := after.Ports[0].MeanPathDelay; delay > 5*time.Millisecond {
		t.Errorf("mean path delay %v", delay)
	}
}

// TestForgedSync sends about one Sync per second in the grandmaster's name and from its address: far ahead, or the next one
// that the grandmaster would send, the latter so that its Follow_Up seems to be of the forged one.
func TestForgedSync(t *testing.T) {
	for _, c := range []struct {
		name          string
		ahead         uint16
		kind, dropped string
	}{{"far ahead", 20_000, "sequence", "ahead"}, {"next", 1, "content", "contested"}} {
		t.Run(c.name, func(t *testing.T) {
			w := newCable(t)
			g := newGrandmaster(t, w)
			d := newDaemon(t, w.host, ptpPort)
			before := d.awaitSettled(t)
			send := datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.EventPort).UDP)
			done := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() {
				tick := time.NewTicker(770 * time.Millisecond) // at ever other times between two true ones
				defer tick.Stop()
				for {
					send(nextSync(g, c.ahead))
					select {
					case <-done:
						return
					case <-tick.C:
					}
				}
			})
			t.Cleanup(func() { close(done); running.Wait() })
			after := undisturbed(t, d, before)
			if p := after.Ports[0]; p.Dropped[c.dropped] < 3 || p.Conflicts[c.kind] < 3 || p.Conflict == "" {
				t.Errorf("the port is:\n%s", show(p))
			}
		})
	}
}

// nextSync returns a copy of the grandmaster's latest Sync that is so many ahead.
func nextSync(g *peers.Grandmaster, ahead uint16) []byte {
	events, _ := g.Sent()
	b := events[len(events)-1]
	binary.BigEndian.PutUint16(b[30:], binary.BigEndian.Uint16(b[30:])+ahead)
	return b
}

// sysctl sets what concerns the network of the namespace.
func (n *namespace) sysctl(t *testing.T, name, value string) {
	t.Helper()
	n.do(t, func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}
