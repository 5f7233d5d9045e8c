// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const epoch = 1_700_000_000_000_000_000

var (
	clientPort = wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 0xc}), Port: 1}
	clientPHC  = clock.PHC(0)
)

// oscillator is the client's clock: wrong by ppm, and steered.
type oscillator struct {
	ppm, ppb float64
	at       clock.Mono
	reading  float64 // ns ahead of epoch + at
}

func (o *oscillator) ahead(now clock.Mono) float64 {
	rate := (1+o.ppm*1e-6)*(1+o.ppb*1e-9) - 1
	return o.reading + float64(now-o.at)*rate
}

func (o *oscillator) advance(now clock.Mono) { o.reading, o.at = o.ahead(now), now }

func (o *oscillator) stamp(now clock.Mono) clock.Timestamp {
	return clock.At(clientPHC, epoch+int64(now)+int64(o.ahead(now)))
}

type event struct {
	at  clock.Mono
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// net is a client, its masters and the network between them, in virtual time.
type net struct {
	t      *testing.T
	rng    *rand.Rand
	now    clock.Mono
	events events
	seq    int

	osc      oscillator
	instance *ptp.Instance
	port     *ptp.Port
	nextID   uint32
	masters  []*host
	toClient func() time.Duration
	toMaster func() time.Duration
	// general is what is added to the way of general messages, stampDelay how long transmit stamps take.
	general, stampDelay  func() time.Duration
	loss, dup, stampLoss float64
	late                 time.Duration // by which every wake is late
	cut                  bool
	// hold is how long a transparent clock holds an event message, and says so: in the Sync, or in its Follow_Up.
	hold       func() time.Duration
	twoStepped bool

	measurements []ptp.Measurement
	when         []clock.Mono
	log          []string
	onMeasured   func(*ptp.Measurement)
	delayReqs    []clock.Mono
	sequenceIDs  map[uint32]uint16 // of the Delay_Req messages, by id
	conflicts    []string
	onDelayReq   func(seq uint16) // somebody sees it
	onParent     func()           // a parent is chosen
}

// at4 is an IPv4 address.
func at4(ip [4]byte) ptp.Address { return ptp.Address{IP: netip.AddrFrom4(ip)} }

func fixed(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func newNet(t *testing.T, seed uint64, cfg ptp.PortConfig) *net {
	return newNetOf(t, seed, ptp.InstanceConfig{}, cfg)
}

func newNetOf(t *testing.T, seed uint64, instance ptp.InstanceConfig, cfg ptp.PortConfig) *net {
	n := &net{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)),
		toClient: fixed(1000), toMaster: fixed(1000),
		sequenceIDs: map[uint32]uint16{}, general: fixed(50 * time.Microsecond), stampDelay: fixed(time.Millisecond),
	}
	instance.Identity, cfg.Clock = clientPort.Clock, clientPHC
	n.instance = ptp.NewInstance(instance)
	n.port = n.instance.AddPort(clientPort.Port, cfg, rand.New(rand.NewPCG(seed, 2)), n)
	return n
}

// newPort makes the client's port without a network.
func newPort(out ptp.Output) *ptp.Port {
	i := ptp.NewInstance(ptp.InstanceConfig{Identity: clientPort.Clock})
	return i.AddPort(clientPort.Port, ptp.PortConfig{}, rand.New(rand.NewPCG(1, 1)), out)
}

func (n *net) after(d time.Duration, do func()) {
	n.seq++
	heap.Push(&n.events, event{n.now.Add(d), n.seq, do})
}

// run goes on for d. The port and the masters are woken when they ask for it.
func (n *net) run(d time.Duration) {
	end := n.now.Add(d)
	for {
		at, wake := end, func() {}
		if w := n.port.NextWake(); w != clock.Never && w.Add(n.late) < at {
			at, wake = max(w.Add(n.late), n.now), func() { n.port.Wake(n.now) }
		}
		for _, h := range n.masters {
			if w := max(h.master.NextWake(), n.now); w < at {
				at, wake = w, func() { h.master.Wake(n.now) }
			}
		}
		if len(n.events) > 0 && n.events[0].at <= at {
			e := heap.Pop(&n.events).(event)
			n.now = e.at
			e.do()
			continue
		}
		n.now = at
		if at == end {
			return
		}
		wake()
	}
}

func (n *net) held() time.Duration {
	if n.hold == nil {
		return 0
	}
	return n.hold()
}

// corrected returns b with d added to its correctionField.
func corrected(b []byte, d time.Duration) []byte {
	b = bytes.Clone(b)
	wire.AddCorrection(b, wire.TimeInterval(d)<<16)
	return b
}

func (n *net) chance(p float64) bool { return p > 0 && n.rng.Float64() < p }

// deliver has a message arrive once, twice or not at all.
func (n *net) deliver(way, general time.Duration, b []byte, arrive func(b []byte)) {
	b = append([]byte(nil), b...)
	copies := 1
	if n.cut || n.chance(n.loss) {
		copies = 0
	} else if n.chance(n.dup) {
		copies = 2
	}
	for i := range copies {
		n.after(way+general+time.Duration(i)*time.Millisecond, func() { arrive(b) })
	}
}

// SendEvent is the client's.
func (n *net) SendEvent(b []byte) (uint32, error) {
	n.nextID++
	id, ts := n.nextID, n.osc.stamp(n.now)
	held := n.held()
	b = corrected(b, held)
	n.delayReqs = append(n.delayReqs, n.now)
	n.sequenceIDs[id] = binary.BigEndian.Uint16(b[30:])
	if n.onDelayReq != nil {
		n.after(0, func() { n.onDelayReq(n.sequenceIDs[id]) })
	}
	for _, h := range n.masters {
		n.deliver(n.toMaster()+held, 0, b, func(b []byte) { h.master.Receive(n.now, b, h.stamp()) })
	}
	if !n.chance(n.stampLoss) {
		n.after(n.stampDelay(), func() { n.port.Transmitted(n.now, id, ts) })
	}
	return id, nil
}

func (n *net) Measured(m *ptp.Measurement) {
	n.measurements = append(n.measurements, *m)
	n.when = append(n.when, n.now)
	if n.onMeasured != nil {
		n.onMeasured(m)
	}
}

func (n *net) StateChanged(from, to ptp.State, why string) {
	n.log = append(n.log, fmt.Sprintf("%v -> %v: %s", from, to, why))
}

func (n *net) Conflict(what string) { n.conflicts = append(n.conflicts, what) }

func (n *net) ParentChanged(p *ptp.Parent) {
	if p == nil {
		n.log = append(n.log, "no parent")
		return
	}
	n.log = append(n.log, fmt.Sprintf("parent %v class %d", p.Port, p.Quality.Class))
	if n.onParent != nil {
		n.onParent()
	}
}

// error returns by how much the offset of a measurement is wrong, in ns.
func (n *net) error(m *ptp.Measurement, ahead float64) float64 {
	ns, frac := m.Exact.Parts()
	return float64(ns) + float64(frac)/65536 - ahead
}

func (n *net) state(want ptp.State) {
	n.t.Helper()
	if got := n.port.Status(n.now).State; got != want {
		n.t.Fatalf("at %v: state %v, want %v\n%q", time.Duration(n.now), got, want, n.log)
	}
}

func (n *net) rejected(r ptp.Reason) uint64 { return n.port.Counters().Rejected[r] }

// host is a master in the network.
type host struct {
	n      *net
	master *ptptest.Master
	addr   ptp.Address
	nextID uint32
	early  time.Duration // by which messages leave before their timestamp
	held   time.Duration // the latest Sync
	// events and generals are what it has sent lately; lose, if set, has some of it not arrive.
	events, generals [][]byte
	lose             func(wire.MessageType) bool
	// shift is added to the sequenceIds of all messages but Delay_Resp: the master has gone on while the client stood still.
	shift uint16
}

// shifted returns b with its sequenceId shifted.
func (h *host) shifted(b []byte) []byte {
	if wire.MessageType(b[0]&0xf) == wire.MessageDelayResp {
		return b
	}
	b = bytes.Clone(b)
	binary.BigEndian.PutUint16(b[30:], binary.BigEndian.Uint16(b[30:])+h.shift)
	return b
}

func (n *net) addMaster(last byte, cfg ptptest.Config) *host {
	h := &host{n: n, addr: at4([4]byte{10, 0, 0, last})}
	cfg.Identity = wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, last}), Port: 1}
	h.master = ptptest.NewMaster(cfg, h)
	n.masters = append(n.masters, h)
	return h
}

func (h *host) stamp() clock.Timestamp { return clock.At(clock.PHC(9), epoch+int64(h.n.now)) }

// Time is the master's.
func (h *host) Time() int64 { return h.stamp().Nanoseconds() }

// lately returns the latest 48 messages and b.
func lately(messages [][]byte, b []byte) [][]byte {
	return append(messages[max(0, len(messages)-47):], bytes.Clone(b))
}

func (h *host) loses(b []byte) bool { return h.lose != nil && h.lose(wire.MessageType(b[0]&0xf)) }

// SendEvent is the master's.
func (h *host) SendEvent(b []byte) (uint32, error) {
	h.nextID++
	id, ts, n := h.nextID, h.stamp().Add(h.early), h.n
	b = h.shifted(b)
	if h.held = n.held(); !n.twoStepped {
		b = corrected(b, h.held)
	}
	h.events = lately(h.events, b)
	if !h.loses(b) {
		n.deliver(n.toClient()+h.held, 0, b, func(b []byte) { n.port.Receive(n.now, b, n.osc.stamp(n.now), h.addr) })
	}
	n.after(100*time.Microsecond, func() { h.master.Transmitted(n.now, id, ts) })
	return id, nil
}

// SendGeneral is the master's.
func (h *host) SendGeneral(b []byte) error {
	n := h.n
	b = h.shifted(b)
	if n.twoStepped && wire.MessageType(b[0]&0xf) == wire.MessageFollowUp {
		b = corrected(b, h.held)
	}
	h.generals = lately(h.generals, b)
	if !h.loses(b) {
		n.deliver(n.toClient(), n.general(), b, func(b []byte) { n.port.Receive(n.now, b, clock.Timestamp{}, h.addr) })
	}
	return nil
}
