// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
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

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/status"
)

const (
	// attackTime is how long an attack lasts: longer than it takes to follow a master at the forger's intervals.
	attackTime = 6 * time.Second
	// year is by how much a forger's time is wrong.
	year = 365 * 24 * time.Hour
)

// forger makes the messages of a master that is better than any other, and wrong by a year.
type forger struct {
	identity ptp.PortIdentity
	priority uint8
	sequence uint16
	client   ptp.PortIdentity // whose Delay_Req messages are answered without having been seen
	rng      *rand.Rand
}

func newForger(identity ptp.PortIdentity, client ptp.PortIdentity) *forger {
	return &forger{identity: identity, client: client, rng: rand.New(rand.NewPCG(1, 2))}
}

// stranger is the identity of a master that nobody knows.
func stranger() ptp.PortIdentity {
	return ptp.PortIdentity{Clock: ptp.ClockIdentity{2, 0, 0, 0xff, 0xfe, 0, 0, 66}, Port: 1}
}

func (f *forger) header(log int8) ptp.Header {
	return ptp.Header{Source: f.identity, SequenceID: f.sequence, MinorVersion: 1, LogInterval: log}
}

func encoded(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func (f *forger) now() ptp.Timestamp {
	ts, err := ptp.TimestampOf(time.Now().Add(year + taiOffset).UnixNano())
	if err != nil {
		panic(err)
	}
	return ts
}

func (f *forger) announce() []byte {
	good := ptptest.Good()
	a := ptp.Announce{Header: f.header(-2), Priority1: f.priority, Quality: good.Quality, Grandmaster: f.identity.Clock}
	a.SetTimeProperties(good.Time)
	return encoded(a.Append(nil))
}

// sync is a one-step Sync.
func (f *forger) sync() []byte {
	s := ptp.Sync{Header: f.header(-4), Origin: f.now()}
	return encoded(s.Append(nil))
}

// guess answers any one Delay_Req.
func (f *forger) guess() []byte {
	r := ptp.DelayResp{Header: f.header(-4), Receive: f.now(), Requesting: f.client}
	r.SequenceID = uint16(f.rng.Uint32())
	return encoded(r.Append(nil))
}

// attack sends Announce and Sync messages 16 times a second, and 200 guesses between two of them, until stop is called.
// event and general send to those ports, or on Ethernet as one.
func (f *forger) attack(t *testing.T, event, general func([]byte)) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second / 16)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			f.sequence++
			general(f.announce())
			event(f.sync())
			for range 200 {
				general(f.guess())
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// datagrams returns a function that sends to an address and port from a namespace. What cannot be sent is not sent.
func datagrams(t *testing.T, n *namespace, from, to netip.AddrPort) func([]byte) {
	t.Helper()
	var conn net.PacketConn
	n.do(t, func() (err error) { conn, err = listenOn(from); return err })
	t.Cleanup(func() { conn.Close() })
	return func(b []byte) { _, _ = conn.WriteTo(b, net.UDPAddrFromAddrPort(to)) }
}

// listenOn makes a UDP socket that sends multicast by the interface of its address.
func listenOn(from netip.AddrPort) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if !from.Addr().Is4() || from.Addr().IsUnspecified() {
			return nil
		}
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, from.Addr().As4())
		}), err)
	}}
	return lc.ListenPacket(context.Background(), "udp", from.String())
}

func anyPort(ip netip.Addr) netip.AddrPort { return netip.AddrPortFrom(ip, 0) }

// undisturbed checks for the time of an attack that the daemon's clock stays as it is, and that it goes on following its
// source.
func undisturbed(t *testing.T, d *daemon, before *status.Snapshot) *status.Snapshot {
	t.Helper()
	var last *status.Snapshot
	for began := time.Now(); time.Since(began) < attackTime; <-time.After(50 * time.Millisecond) {
		last = d.await(t, "the daemon answers", func(s *status.Snapshot) bool {
			if s.State != status.Locked || s.Steps != before.Steps || s.Selected != before.Selected || s.Offset.Abs() > 5*time.Millisecond {
				t.Fatalf("the attack has disturbed the daemon:\n%s", show(s))
			}
			return true
		})
	}
	if got, want := last.Sources[0].Samples-before.Sources[0].Samples, uint64(attackTime.Seconds()*16/2); got < want {
		t.Errorf("%d samples in %v, want %d at least", got, attackTime, want)
	}
	return last
}

// unheard checks for the time of an attack that a port without a master finds none, and no clock is touched.
func unheard(t *testing.T, d *daemon) {
	t.Helper()
	for began := time.Now(); time.Since(began) < attackTime; <-time.After(50 * time.Millisecond) {
		d.await(t, "the daemon answers", func(s *status.Snapshot) bool {
			for _, p := range s.Ports {
				if p.State != "listening" && p.State != "disabled" || p.Parent != "" || len(p.Received) > 0 {
					t.Fatalf("the attacker is heard:\n%s", show(s))
				}
			}
			if s.Steps != 0 || s.Clocks[0].Frequency != 0 {
				t.Fatalf("the attacker has touched the clock:\n%s", show(s))
			}
			return true
		})
	}
}

// obeyed waits until the daemon follows the forger: the very same messages, sent as masters do.
func obeyed(t *testing.T, d *daemon, f *forger) {
	t.Helper()
	d.await(t, "messages sent to the group are heard", func(s *status.Snapshot) bool {
		for _, p := range s.Ports {
			if p.Parent == f.identity.String() {
				return true
			}
		}
		return false
	})
}

const v6Port = `
[[ptp.port]]
interface = "eth0"
transport = "udp6"
timestamping = "kernel"
`

// portIdentity is that of a port of a daemon, which strangers know of its MAC.
func portIdentity(t *testing.T, d *daemon) ptp.PortIdentity {
	t.Helper()
	var id ptp.PortIdentity
	d.await(t, "the port is open", func(s *status.Snapshot) bool { return s.Ports[0].State == "listening" })
	d.ns.do(t, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			id = ptp.PortIdentity{Clock: ptp.ClockIdentityFromMAC([6]byte(ifi.HardwareAddr)), Port: 1}
		}
		return err
	})
	return id
}

// TestRoutedAttacker is on another network, behind a router, and hears nothing.
func TestRoutedAttacker(t *testing.T) {
	w := newWire(t)
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
	refused := uint64(0)
	for began := time.Now(); time.Since(began) < attackTime; <-time.After(50 * time.Millisecond) {
		d.await(t, "the daemon answers", func(s *status.Snapshot) bool {
			for _, p := range s.Ports {
				if p.State != "listening" || p.Parent != "" || p.Received[ptp.MessageSync.String()] > 0 {
					t.Fatalf("the attacker is heard:\n%s", show(s))
				}
				refused += p.Dropped["unicast"]
			}
			if s.Steps != 0 || s.Clocks[0].Frequency != 0 {
				t.Fatalf("the attacker has touched the clock:\n%s", show(s))
			}
			return true
		})
	}
	if refused == 0 {
		t.Error("no Announce by unicast has reached the port")
	}
}

// TestLocalAttacker is a program of an unprivileged user on the host itself. It knows the host's addresses, and has its
// multicast messages looped back.
func TestLocalAttacker(t *testing.T) {
	w := newWire(t)
	d := newDaemon(t, w.host, ptpPort)
	f := newForger(stranger(), portIdentity(t, d))
	var sent atomic.Uint64
	f.attack(t, unprivileged(t, w.host, &sent, hwts.EventPort), unprivileged(t, w.host, &sent, hwts.GeneralPort))
	unheard(t, d)
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
func frames(t *testing.T, w *wire, from, to hwts.MAC) func([]byte) {
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
	w := newWire(t)
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
	w := newWire(t)
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
	w := newWire(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitSettled(t)
	f := newForger(masterIdentity(), ptp.PortIdentity{})
	w.host.do(t, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			f.client = ptp.PortIdentity{Clock: ptp.ClockIdentityFromMAC([6]byte(ifi.HardwareAddr)), Port: 1}
		}
		return err
	})
	none := func([]byte) {}
	only := func(send func([]byte)) func([]byte) {
		return func(b []byte) {
			if ptp.MessageType(b[0]&0xf) == ptp.MessageDelayResp {
				send(b)
			}
		}
	}
	f.attack(t, none, only(datagrams(t, w.peers, anyPort(peerAddress), netip.AddrPortFrom(hostAddress, hwts.GeneralPort))))
	f.attack(t, none, only(datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.GeneralPort).UDP)))
	after := undisturbed(t, d, before)
	if n := after.Ports[0].Dropped["unmatched"]; n < 1000 {
		t.Errorf("%d guesses were refused", n)
	}
	if delay := after.Ports[0].MeanPathDelay; delay > 5*time.Millisecond {
		t.Errorf("mean path delay %v", delay)
	}
}

// TestForgedSync sends one Sync per second in the grandmaster's name and from its address: far ahead, or the next one that the
// grandmaster would send, the latter so that its Follow_Up seems to be of the forged one.
func TestForgedSync(t *testing.T) {
	for _, c := range []struct {
		name          string
		ahead         uint16
		kind, dropped string
	}{{"far ahead", 20_000, "sequence", "ahead"}, {"next", 1, "content", "contested"}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			g := newGrandmaster(t, w)
			d := newDaemon(t, w.host, ptpPort)
			before := d.awaitSettled(t)
			send := datagrams(t, w.peers, anyPort(peerAddress), hwts.UDP4.Primary(hwts.EventPort).UDP)
			done := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() {
				tick := time.NewTicker(time.Second)
				defer tick.Stop()
				for {
					send(g.nextSync(c.ahead))
					select {
					case <-done:
						return
					case <-tick.C:
					}
				}
			})
			t.Cleanup(func() { close(done); running.Wait() })
			after := undisturbed(t, d, before)
			if p := after.Ports[0]; p.Dropped[c.dropped] < 4 || p.Conflicts[c.kind] < 4 || p.Conflict == "" {
				t.Errorf("the port is:\n%s", show(p))
			}
		})
	}
}

// nextSync returns a copy of the grandmaster's latest Sync that is so many ahead.
func (g *grandmaster) nextSync(ahead uint16) []byte {
	events, _ := g.recorded()
	b := events[len(events)-1]
	binary.BigEndian.PutUint16(b[30:], binary.BigEndian.Uint16(b[30:])+ahead)
	return b
}

// TestAllowedMasters has a better master beside the one that the configuration names.
func TestAllowedMasters(t *testing.T) {
	w := newWire(t)
	newGrandmaster(t, w)
	w.peers.address(t, "eth1", anotherPeer)
	d := newDaemon(t, w.host, ptpPort, fmt.Sprintf("masters = [%q]\n", masterIdentity().Clock))
	before := d.awaitSettled(t)
	f := newForger(stranger(), stranger())
	f.attack(t, datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.EventPort).UDP),
		datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.GeneralPort).UDP))
	after := undisturbed(t, d, before)
	if n := after.Ports[0].Dropped["not_allowed"]; n < 50 {
		t.Errorf("%d Announce messages were refused", n)
	}
	d.configure(t, configuration(d.dir, ptpPort, "masters = [\"192.0.2.1\"]\n"))
	d.signal(t, syscall.SIGHUP)
	d.await(t, "nobody is followed, and the source says why", func(s *status.Snapshot) bool {
		return s.Sources[0].State == "unreachable" && strings.Contains(s.Sources[0].Reason, "no master that its port allows")
	})
}

// TestHybridMaster answers Delay_Req messages by unicast.
func TestHybridMaster(t *testing.T) {
	w := newWire(t)
	g := newGrandmaster(t, w)
	g.answerByUnicast()
	d := newDaemon(t, w.host, ptpPort)
	s := d.awaitSettled(t)
	if p := s.Ports[0]; p.State != "slave" || p.Received[ptp.MessageDelayResp.String()] == 0 || p.Conflict != "" {
		t.Errorf("the port is:\n%s", show(p))
	}
	// Beside it a port of another domain, whose socket for unicast is the latest.
	d.configure(t, configuration(d.dir, ptpPort, ptpPort+"domain = 1\n"))
	d.signal(t, syscall.SIGHUP)
	d.await(t, "the master's answers reach its port", func(s *status.Snapshot) bool {
		return len(s.Ports) == 2 && s.Ports[1].State == "listening" && s.Ports[0].State == "slave" && s.Ports[0].Received[ptp.MessageDelayResp.String()] > 16
	})
}

// TestGroupThatCannotBeJoined has the kernel allow no more memberships.
func TestGroupThatCannotBeJoined(t *testing.T) {
	w := newWire(t)
	w.host.sysctl(t, "ipv4/igmp_max_memberships", "0")
	d := newDaemon(t, w.host, ptpPort)
	d.await(t, "the source says why", func(s *status.Snapshot) bool {
		return strings.Contains(s.Sources[0].Reason, "join 224.0.1.129") && strings.Contains(s.Sources[0].Reason, "igmp_max_memberships")
	})
	if code, out := d.ctl(t, "sources"); code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), "join 224.0.1.129") {
		t.Errorf("lockstepctl sources: exit status %d:\n%s", code, out)
	}
	w.host.sysctl(t, "ipv4/igmp_max_memberships", "20")
	d.await(t, "the port opens", func(s *status.Snapshot) bool { return s.Ports[0].State == "listening" })
}

// sysctl sets what concerns the network of the namespace.
func (n *namespace) sysctl(t *testing.T, name, value string) {
	t.Helper()
	n.do(t, func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// routedNetworks are two networks with the peers' host as the router between them.
type routedNetworks struct{ host, router, outside, far netip.Prefix }

// connect joins the far host with the router, and has routes set for both versions of IP.
func (r routedNetworks) connect(t *testing.T, w *wire, far *namespace) {
	t.Helper()
	joinNamespaces(t, w.peers, "eth2", far, "eth3")
	w.host.address(t, "eth0", r.host)
	w.peers.address(t, "eth1", r.router)
	w.peers.address(t, "eth2", r.outside)
	far.address(t, "eth3", r.far)
	w.peers.address(t, "eth2", netip.MustParsePrefix("10.2.2.1/24"))
	far.address(t, "eth3", netip.MustParsePrefix("10.2.2.2/24"))
	w.peers.sysctl(t, "ipv4/ip_forward", "1")
	w.peers.sysctl(t, "ipv6/conf/all/forwarding", "1")
	for _, g := range []struct {
		n  *namespace
		by netip.Addr
	}{{w.host, r.router.Addr()}, {w.host, peerAddress}, {far, r.outside.Addr()}, {far, netip.MustParseAddr("10.2.2.1")}} {
		g.n.defaultRoute(t, g.by)
	}
}

// defaultRoute has everything else be sent by a router.
func (n *namespace) defaultRoute(t *testing.T, by netip.Addr) {
	t.Helper()
	family := byte(unix.AF_INET)
	if by.Is6() {
		family = unix.AF_INET6
	}
	body := []byte{family, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	n.request(t, unix.RTM_NEWROUTE, netlink.Create|netlink.Excl, body, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.RTA_GATEWAY, by.AsSlice())
	})
}

// reached listens at another port of the host, and returns a function that tells whether the far host has got through to it
// over both versions of IP.
func (r routedNetworks) reached(t *testing.T, w *wire, far *namespace) func() bool {
	t.Helper()
	const port = 4242
	var count [2]atomic.Uint64
	for i, to := range []netip.Addr{r.host.Addr(), hostAddress} {
		var conn net.PacketConn
		w.host.do(t, func() (err error) {
			conn, err = net.ListenPacket("udp", netip.AddrPortFrom(to, port).String())
			return err
		})
		t.Cleanup(func() { conn.Close() })
		go func() {
			for b := make([]byte, 16); ; count[i].Add(1) {
				if _, _, err := conn.ReadFrom(b); err != nil {
					return
				}
			}
		}()
		from := netip.IPv6Unspecified()
		if to.Is4() {
			from = netip.IPv4Unspecified()
		}
		send := datagrams(t, far, anyPort(from), netip.AddrPortFrom(to, port))
		await(t, "the route works", func() bool { send([]byte("hello")); return count[i].Load() > 0 }, func() any { return to })
	}
	return func() bool { return count[0].Load() > 0 && count[1].Load() > 0 }
}
