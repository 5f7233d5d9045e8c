// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

func TestOffsetAndDelay(t *testing.T) {
	for _, oneStep := range []bool{false, true} {
		n := newNet(t, 1, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{OneStep: oneStep})
		n.osc.reading = 123_456
		n.run(20 * time.Second)
		n.state(ptp.Slave)
		last := n.measurements[len(n.measurements)-1]
		if last.Offset != 123_456 || last.MeanPathDelay.Duration() != 1000 || !last.DelayKnown {
			t.Errorf("one-step %v: offset %v, delay %v", oneStep, last.Offset, last.MeanPathDelay.Duration())
		}
		if last.Parent.Time.UTCOffset != 37 || !last.Parent.Time.PTPTimescale || last.Interval != time.Second {
			t.Errorf("properties %+v", last.Parent)
		}
		if last.BackwardAt.Clock() != clientPHC || last.Parent.Port.Port != 1 {
			t.Errorf("measurement %+v", last)
		}
	}
}

// A free oscillator that is wrong by 100 ppm must not make the delay wrong, not even the first one, and however far the
// Delay_Req is from the Sync before it.
func TestDelayWithFrequencyError(t *testing.T) {
	for _, ppm := range []float64{-100, 100} {
		n := newNet(t, 2, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{})
		n.osc.ppm, n.osc.reading = ppm, 5e9
		n.onMeasured = func(m *ptp.Measurement) {
			if !m.DelayKnown {
				return
			}
			if d := m.MeanPathDelay.Nanoseconds() - 1000; math.Abs(d) > 2 {
				t.Errorf("%v ppm at %v: delay wrong by %.1f ns", ppm, time.Duration(n.now), d)
			}
			if e := n.error(m, n.osc.ahead(n.now-50_000-50_000)); math.Abs(e) > 20 {
				t.Errorf("%v ppm at %v: offset wrong by %.1f ns", ppm, time.Duration(n.now), e)
			}
		}
		n.run(30 * time.Second)
		if n.port.Counters().Delays < 10 {
			t.Errorf("%d delays", n.port.Counters().Delays)
		}
	}
}

// The correction changes between Syncs at any instant; told of it, the port keeps the delay right.
func TestDelayWhileSteered(t *testing.T) {
	n := newNet(t, 3, ptp.PortConfig{DelayFilter: 1})
	n.addMaster(1, ptptest.Config{LogMinDelayReqInterval: -2})
	n.osc.ppm = 40
	n.port.Steered(n.osc.stamp(0), 0)
	steer := func(ppb float64) {
		n.osc.advance(n.now)
		n.osc.ppb = ppb
		n.port.Steered(n.osc.stamp(n.now), ppb)
	}
	for i := range 200 {
		n.after(time.Duration(i)*137*time.Millisecond, func() { steer(-40_000 + 80_000*n.rng.Float64()) })
	}
	n.onMeasured = func(m *ptp.Measurement) {
		if d := m.MeanPathDelay.Nanoseconds() - 1000; m.DelayKnown && math.Abs(d) > 8 {
			t.Errorf("at %v: delay wrong by %.1f ns", time.Duration(n.now), d)
		}
	}
	n.run(28 * time.Second)
	if n.port.Counters().Delays < 50 {
		t.Errorf("%d delays", n.port.Counters().Delays)
	}
}

func TestStepped(t *testing.T) {
	for seed := range uint64(20) {
		stepped(t, seed)
	}
}

func stepped(t *testing.T, seed uint64) {
	n := newNet(t, seed, ptp.PortConfig{})
	n.addMaster(1, ptptest.Config{LogSyncInterval: -3, LogMinDelayReqInterval: -3})
	n.osc.ppm, n.osc.reading = 50, -50*365*86400e9 // decades behind
	stepped := false
	n.onMeasured = func(m *ptp.Measurement) {
		if m.DelayKnown && !stepped {
			stepped = true
			n.osc.advance(n.now)
			n.osc.reading -= float64(m.Offset)
			n.port.Stepped(n.now, -m.Offset)
			return
		}
		if stepped && (!m.DelayKnown || m.Offset.Abs() > 2*time.Millisecond) {
			t.Errorf("at %v after the step: %v, delay known %v", time.Duration(n.now), m.Offset, m.DelayKnown)
		}
		// The clock is off by 50 ppm, and what one delay is made of lies up to 1 ms from the Sync nearest to it. From 2 s
		// on, the median is of enough delays.
		limit := 60.0
		if n.now >= clock.Mono(2*time.Second) {
			limit = 1
		}
		if d := m.MeanPathDelay.Nanoseconds() - 1000; m.DelayKnown && math.Abs(d) > limit {
			t.Errorf("at %v: delay wrong by %.1f ns", time.Duration(n.now), d)
		}
	}
	n.run(20 * time.Second)
	n.state(ptp.Slave)
	if !stepped || n.rejected(ptp.ReasonLongDelay)+n.rejected(ptp.ReasonNegativeDelay) != 0 {
		t.Errorf("rejected %v", n.port.Counters().Rejected)
	}
	if len(n.log) != 3 {
		t.Errorf("a step changed more than the clock: %q", n.log)
	}
}

// The master is chosen with its second Announce at 1 s; the Sync of that instant is not of a known master yet. From the
// next one on, at 2 s, it may take no longer than to the second, at 3 s.
func TestTimeToFirstOffset(t *testing.T) {
	for seed := range uint64(50) {
		n := newNet(t, seed, ptp.PortConfig{})
		n.toClient = func() time.Duration { return time.Duration(10_000 + n.rng.IntN(100_000)) }
		n.addMaster(1, ptptest.Config{})
		n.onMeasured = func(m *ptp.Measurement) {
			if len(n.measurements) == 2 && !m.DelayKnown {
				t.Errorf("seed %d: no delay with the second Sync", seed)
			}
		}
		n.run(4 * time.Second)
		if len(n.measurements) < 2 || time.Duration(n.when[1]) > 3001*time.Millisecond {
			t.Errorf("seed %d: measurements at %v", seed, n.when)
		}
	}
}

// Loss, duplication, reordering of every kind: what is measured stays right, and nothing but samples is lost.
func TestBadNetwork(t *testing.T) {
	for seed := range uint64(20) {
		n := newNet(t, seed, ptp.PortConfig{})
		n.osc.ppm, n.osc.reading = 30, -7e6
		n.loss, n.dup, n.stampLoss = 0.1, 0.1, 0.2
		n.general = func() time.Duration { return time.Duration(n.rng.IntN(400)) * time.Millisecond }
		n.stampDelay = func() time.Duration { return time.Duration(n.rng.IntN(300)) * time.Millisecond }
		n.toClient = func() time.Duration {
			if n.chance(0.1) {
				return 200 * time.Millisecond // overtaken by its Follow_Up, at 8/s by the next Sync as well
			}
			return time.Microsecond
		}
		n.late = 300 * time.Millisecond
		n.addMaster(1, ptptest.Config{LogSyncInterval: -3, LogMinDelayReqInterval: -1})
		n.run(3 * time.Minute)
		good, misled := 0, 0
		for _, m := range n.measurements {
			truth := float64(n.osc.reading) + 30e-6*float64(m.At.Nanoseconds()-epoch+7_000_000)
			if m.DelayKnown && math.Abs(n.error(&m, truth)) < 500 {
				good++
			}
			if m.DelayKnown && m.MeanPathDelay.Duration() > 50*time.Microsecond {
				misled++ // by the first few delays, before the median has enough of them
			}
		}
		if good < 700 || misled > len(n.measurements)/10 || n.rejected(ptp.ReasonDuplicate) == 0 ||
			n.rejected(ptp.ReasonNoFollowUp) == 0 ||
			n.rejected(ptp.ReasonNoTransmitStamp) == 0 || n.rejected(ptp.ReasonNoResponse) == 0 {
			t.Errorf("seed %d: %d good, %d misled of %d, rejected %v", seed, good, misled, len(n.measurements),
				n.port.Counters().Rejected)
		}
		n.state(ptp.Slave)
	}
}

func TestAnnounceTimeoutAndReturn(t *testing.T) {
	for seed := range uint64(20) {
		n := newNet(t, seed, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{})
		n.run(10500 * time.Millisecond)
		n.state(ptp.Slave)
		n.cut = true
		n.run(2400 * time.Millisecond)
		n.state(ptp.Slave)
		n.run(1700 * time.Millisecond)
		n.state(ptp.Listening)
		if n.port.NextWake() != clock.Never {
			t.Errorf("a listening port wants to be woken")
		}
		n.cut = false
		n.run(5 * time.Second)
		n.state(ptp.Slave)
	}
}

func TestBetterMasterAndFailover(t *testing.T) {
	n := newNet(t, 5, ptp.PortConfig{})
	worse := n.addMaster(1, ptptest.Config{})
	worse.master.Properties.Priority2 = 200
	n.run(6 * time.Second)
	if p := n.port.Status(n.now); p.Parent.Address != worse.addr || p.State != ptp.Slave {
		t.Fatalf("%+v", p.Parent)
	}
	better := n.addMaster(2, ptptest.Config{})
	n.run(6 * time.Second)
	if p := n.port.Status(n.now); p.Parent.Address != better.addr || p.Masters != 2 {
		t.Fatalf("does not follow the better one: %+v", p.Parent)
	}
	better.master.Faults.Silent = true
	n.run(6 * time.Second)
	if p := n.port.Status(n.now); p.Parent.Address != worse.addr || p.State != ptp.Slave {
		t.Fatalf("does not fail over: %+v", p.Parent)
	}
	if !slices.Contains(n.log, "slave -> uncalibrated: announce receipt timeout, next best master") {
		t.Errorf("%q", n.log)
	}
	better.master.Faults.Silent = false
	better.master.Properties.Quality.Class = 248
	n.run(6 * time.Second)
	if p := n.port.Status(n.now); p.Parent.Address != worse.addr || p.Masters != 2 {
		t.Fatalf("follows a degraded master: %+v", p.Parent)
	}
}

func TestParentPropertiesAreTold(t *testing.T) {
	n := newNet(t, 6, ptp.PortConfig{})
	h := n.addMaster(1, ptptest.Config{})
	n.run(6 * time.Second)
	told := len(n.log)
	h.master.Properties.Time.UTCOffsetValid = false
	h.master.Properties.Quality.Class = 7
	n.run(3 * time.Second)
	if !slices.Equal(n.log[told:], []string{"parent 020000.fffe.000001-1 class 7"}) {
		t.Errorf("%q", n.log[told:])
	}
	if m := n.measurements[len(n.measurements)-1]; m.Parent.Time.UTCOffsetValid || m.Parent.Quality.Class != 7 {
		t.Errorf("%+v", m.Parent)
	}
}

func TestSyncsStop(t *testing.T) {
	n := newNet(t, 7, ptp.PortConfig{})
	h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3})
	n.run(5 * time.Second)
	n.state(ptp.Slave)
	h.master.Faults.Lose = func(t wire.MessageType) bool { return t == wire.MessageSync }
	n.run(4 * time.Second)
	n.state(ptp.Uncalibrated)
	sent := len(n.delayReqs)
	n.run(10 * time.Second)
	if len(n.delayReqs) != sent {
		t.Error("Delay_Req without Sync")
	}
	h.master.Faults.Lose = nil
	n.run(time.Second)
	n.state(ptp.Slave)
}

func TestLinkAndDisable(t *testing.T) {
	n := newNet(t, 8, ptp.PortConfig{})
	n.addMaster(1, ptptest.Config{})
	n.run(5 * time.Second)
	n.port.LinkChanged(n.now, false)
	n.state(ptp.Faulty)
	n.run(5 * time.Second)
	n.state(ptp.Faulty)
	if n.rejected(ptp.ReasonPortDown) == 0 {
		t.Error("messages while down are not counted")
	}
	n.port.LinkChanged(n.now, true)
	n.state(ptp.Listening)
	n.run(5 * time.Second)
	n.state(ptp.Slave)
	n.port.Disable()
	n.port.LinkChanged(n.now, false)
	n.state(ptp.Disabled)
	n.port.Enable()
	n.run(5 * time.Second)
	n.state(ptp.Slave)
}

// A process that was kept from running for seconds finds what arrived meanwhile after the expiry, and keeps its parent.
func TestLateWake(t *testing.T) {
	for _, waiting := range []bool{true, false} {
		n := newNet(t, 9, ptp.PortConfig{})
		h := n.addMaster(1, ptptest.Config{})
		n.run(5 * time.Second)
		n.now = n.now.Add(6 * time.Second)
		n.port.Wake(n.now)
		n.state(ptp.Slave)
		want := ptp.Listening
		if waiting {
			a := announce(1, 12)
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
			want = ptp.Slave
		}
		n.now = n.now.Add(200 * time.Millisecond)
		n.port.Wake(n.now)
		n.state(want)
	}
}

func TestDelayReqRate(t *testing.T) {
	for _, log := range []int8{-3, 0, 2, -128, 127} {
		n := newNet(t, 10, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{LogMinDelayReqInterval: log, LogSyncInterval: -1})
		n.run(10 * time.Second)
		start := len(n.delayReqs)
		n.run(400 * time.Second)
		mean := 400.0 / float64(len(n.delayReqs)-start)
		want := ptptest.Interval(log).Seconds()
		switch log {
		case 127:
			want = 1 // no interval: the configured one stays
		case -128:
			want = 0.5 / 8 // as many as Sync messages make use of
		}
		if mean < 0.8*want || mean > 1.25*want {
			t.Errorf("logMessageInterval %d: a Delay_Req every %.3f s, want %v", log, mean, want)
		}
		longest := time.Duration(0)
		for i := start + 1; i < len(n.delayReqs); i++ {
			longest = max(longest, n.delayReqs[i].Sub(n.delayReqs[i-1]))
		}
		if longest.Seconds() > 2*want || longest.Seconds() < 1.2*want {
			t.Errorf("logMessageInterval %d: longest pause %v", log, longest)
		}
	}
}

// A master may ask for few Delay_Req messages, as one with many clients does; but not for none.
func TestRareDelayReqs(t *testing.T) {
	for log, want := range map[int8]float64{7: 128, 10: 1024, 30: 1024} {
		n := newNet(t, 15, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{LogMinDelayReqInterval: log, LogSyncInterval: 4, LogAnnounceInterval: 4})
		n.run(100 * time.Second)
		start := len(n.delayReqs)
		n.run(100 * time.Duration(want) * time.Second)
		if mean := 100 * want / float64(len(n.delayReqs)-start); mean < 0.8*want || mean > 1.25*want {
			t.Errorf("logMessageInterval %d: a Delay_Req every %.0f s, want %v", log, mean, want)
		}
	}
}

// A master that grants 128 Delay_Req messages per second and sends one Sync gets as many as the Syncs make use of.
func TestDelayReqsAreOfUse(t *testing.T) {
	n := newNet(t, 14, ptp.PortConfig{LogDelayReqInterval: -7})
	n.addMaster(1, ptptest.Config{LogMinDelayReqInterval: -7})
	n.run(100 * time.Second)
	c := n.port.Counters()
	if c.Delays < 600 || c.Delays > 900 || c.Sent[wire.MessageDelayReq]-c.Delays > 32 || n.rejected(ptp.ReasonNoSync) != 0 {
		t.Errorf("%d sent, %d delays, %d without Sync", c.Sent[wire.MessageDelayReq], c.Delays, n.rejected(ptp.ReasonNoSync))
	}
	if got := n.port.Status(n.now).DelayReqInterval; got != time.Second/8 {
		t.Errorf("says that a Delay_Req is sent every %v", got)
	}
}

// A dead parent is left for another master within the time that any profile's announce interval may need, whatever it
// has stated, and even if nothing wakes the port.
func TestDeadParentIsLeft(t *testing.T) {
	for _, tc := range []struct {
		log     int8
		woken   bool
		seconds int
	}{{0, true, 4}, {0, false, 5}, {127, true, 4}, {127, false, 5}, {4, true, 64}, {6, true, 64}, {126, true, 64},
		{-128, true, 1}} {
		p := newPort(&failing{})
		now, left := clock.Mono(0), 0
		hear := func(last byte, priority uint8, log int8, seq int) {
			a := announce(last, uint16(seq))
			a.Priority1, a.LogInterval = priority, log
			p.Receive(now, encode(t, &a), clock.Timestamp{}, at4([4]byte{10, 0, 0, last}))
		}
		for i := range 100 {
			now = clock.Mono(i) * clock.Mono(time.Second)
			if tc.woken && p.NextWake() <= now {
				p.Wake(now)
				now = now.Add(100 * time.Millisecond) // the grace
				p.Wake(now)
			}
			if i < 10 {
				hear(1, 10, tc.log, 2*i)
				now = now.Add(50 * time.Millisecond)
				hear(1, 10, tc.log, 2*i+1)
			}
			hear(2, 128, 0, i)
			following := p.Status(now).Parent.Port.Clock
			if i == 9 && following != portNumber(1).Clock {
				t.Fatalf("%+v: follows %v", tc, following)
			}
			if following == portNumber(2).Clock && i > 9 && left == 0 {
				left = i - 9
			}
		}
		if left == 0 || left > tc.seconds+1 {
			t.Errorf("%+v: left after %d s", tc, left)
		}
	}
}

func TestSameSeedSameRun(t *testing.T) {
	run := func() ([]ptp.Measurement, []string, ptp.Counters) {
		n := newNet(t, 11, ptp.PortConfig{})
		n.loss, n.dup = 0.1, 0.1
		n.addMaster(1, ptptest.Config{})
		n.run(time.Minute)
		return n.measurements, n.log, *n.port.Counters()
	}
	m1, l1, c1 := run()
	m2, l2, c2 := run()
	if !slices.Equal(m1, m2) || !slices.Equal(l1, l2) || c1 != c2 || len(m1) == 0 {
		t.Error("two runs with one seed differ")
	}
}

func TestAsymmetryAndCorrection(t *testing.T) {
	n := newNet(t, 12, ptp.PortConfig{DelayAsymmetry: 300})
	n.toClient, n.toMaster = fixed(5300), fixed(4700)
	h := n.addMaster(1, ptptest.Config{})
	h.master.Faults.SyncCorrection = 4000<<16 + 0x4000
	h.master.Faults.DelayCorrection = 4000<<16 - 0x4000
	n.run(10 * time.Second)
	m := n.measurements[len(n.measurements)-1]
	if m.MeanPathDelay != 1000<<16 {
		t.Errorf("delay %v", m.MeanPathDelay.Nanoseconds())
	}
	if ns, frac := m.Exact.Parts(); ns != -1 || frac != 0xc000 || m.Offset != 0 {
		t.Errorf("offset %d + %#x/65536, rounded %v", ns, frac, m.Offset)
	}
}

func TestAbsurdDelays(t *testing.T) {
	for _, tc := range []struct {
		name               string
		toClient, toMaster time.Duration
		correction         wire.TimeInterval
		want               ptp.Reason
	}{
		{"long", 1500 * time.Millisecond, 900 * time.Millisecond, 0, ptp.ReasonLongDelay},
		{"correction beyond the path", 1000, 1000, 100_000 << 16, ptp.ReasonCorrection},
		{"absurd correction", 1000, 1000, 1_000_000_000 << 16, ptp.ReasonCorrection},
		{"unrepresentable correction", 1000, 1000, wire.TooBig, ptp.ReasonCorrection},
		{"negative", -50_000, -50_000, 0, ptp.ReasonNegativeDelay},
	} {
		n := newNet(t, 13, ptp.PortConfig{})
		n.toClient, n.toMaster = fixed(max(tc.toClient, 0)), fixed(max(tc.toMaster, 0))
		h := n.addMaster(1, ptptest.Config{})
		h.master.Faults.DelayCorrection = tc.correction
		if tc.toClient < 0 {
			h.early = -tc.toClient
		}
		n.run(20 * time.Second)
		if n.rejected(tc.want) == 0 || n.port.Counters().Delays != 0 {
			t.Errorf("%s: %v rejected, %d delays taken", tc.name, n.rejected(tc.want), n.port.Counters().Delays)
		}
		n.state(ptp.Uncalibrated)
	}
}

func TestSendFailure(t *testing.T) {
	out := &failing{}
	p := newPort(out)
	a, s := announce(1, 1), sync(1, 1)
	addr := at4([4]byte{10, 0, 0, 1})
	p.Receive(0, encode(t, &a), clock.Timestamp{}, addr)
	a.SequenceID++
	p.Receive(1e9, encode(t, &a), clock.Timestamp{}, addr)
	p.Receive(1.1e9, encode(t, &s), clock.At(clientPHC, epoch), addr)
	p.Wake(p.NextWake())
	if got := p.Counters().Rejected[ptp.ReasonSendFailed]; got != 1 || out.calls != 1 {
		t.Errorf("counted %d of %d", got, out.calls)
	}
	if p.NextWake() == clock.Never {
		t.Error("does not try again")
	}
}

type failing struct{ calls int }

func (f *failing) SendEvent([]byte) (uint32, error) {
	f.calls++
	return 0, errors.New("no buffer space")
}
func (*failing) Measured(*ptp.Measurement)                 {}
func (*failing) StateChanged(ptp.State, ptp.State, string) {}
func (*failing) ParentChanged(*ptp.Parent)                 {}
func (*failing) Conflict(string)                           {}
