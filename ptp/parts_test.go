// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

func TestSequence(t *testing.T) {
	for i, tc := range []struct {
		ids  []uint16
		at   []int // in tenths of a second
		want []Reason
	}{
		{[]uint16{7, 8, 10, 10, 9}, []int{0, 1, 2, 3, 4}, []Reason{0, 0, 0, ReasonDuplicate, ReasonStale}},
		{[]uint16{65535, 0, 65535}, []int{0, 1, 2}, []Reason{0, 0, ReasonStale}},
		// A master that was restarted is believed the third time.
		{[]uint16{500, 0, 1, 2, 3}, []int{0, 11, 12, 13, 14}, []Reason{0, ReasonStale, ReasonStale, 0, 0}},
		{[]uint16{500, 501, 0, 1, 2, 3}, []int{0, 10, 31, 41, 51, 61}, []Reason{0, 0, ReasonStale, ReasonStale, 0, 0}},
		// But not while it goes on as before.
		{[]uint16{500, 0, 1, 2, 3, 501}, []int{0, 1, 2, 3, 4, 5},
			[]Reason{0, ReasonStale, ReasonStale, ReasonStale, ReasonStale, 0}},
		{[]uint16{500, 501, 0, 1, 2, 502}, []int{0, 10, 28, 29, 30, 30},
			[]Reason{0, 0, ReasonStale, ReasonStale, ReasonStale, 0}},
		// Replayed messages among true ones are not.
		{[]uint16{500, 10, 501, 11, 502, 12, 503}, []int{0, 11, 12, 23, 24, 35, 36},
			[]Reason{0, ReasonStale, 0, ReasonStale, 0, ReasonStale, 0}},
		{[]uint16{500, 3, 3, 3, 2, 1}, []int{0, 11, 12, 13, 14, 15},
			[]Reason{0, ReasonStale, ReasonDuplicate, ReasonDuplicate, ReasonStale, ReasonStale}},
		// One that sends ten times as often as it states is believed to have lost some all the same.
		{[]uint16{7, 8, 9, 12}, []int{0, 1, 2, 4}, []Reason{0, 0, 0, 0}},
	} {
		interval := 100 * time.Millisecond
		if i == 8 {
			interval = time.Second
		}
		var s sequence
		for j, id := range tc.ids {
			if got, _ := s.accept(clock.Mono(tc.at[j])*clock.Mono(time.Second/10), id, interval); got != tc.want[j] {
				t.Errorf("case %d, %d: %v, want %v", i, id, got, tc.want[j])
			}
		}
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	taken := 0
	for i := range 20_000 {
		if l.take(clock.Mono(i)*100_000, time.Second/50, 32) {
			taken++
		}
	}
	if taken < 32+100-2 || taken > 32+100+2 {
		t.Errorf("%d in two seconds", taken)
	}
}

func TestMedian(t *testing.T) {
	var m median
	m.reset(5)
	for i, tc := range []struct{ add, value wire.TimeInterval }{
		{100, 100}, {200, 150}, {1 << 40, 200}, {110, 155}, {120, 120}, {130, 130}, {90, 120},
	} {
		m.add(tc.add)
		if m.value != tc.value {
			t.Errorf("after %d: %d, want %d", i, m.value, tc.value)
		}
	}
}

// The longest filter that can be configured is as long as it says.
func TestLongestMedian(t *testing.T) {
	var m median
	m.reset(PortConfig{DelayFilter: 128}.complete().DelayFilter)
	for i := range 64 {
		m.add(wire.TimeInterval(1000 + i))
	}
	for range 63 {
		m.add(2000)
	}
	if m.value != 1063 || m.n != 127 {
		t.Errorf("%d of %d delays", m.value, m.n)
	}
	m.add(2000)
	m.add(2000)
	if m.value != 2000 || m.n != 128 {
		t.Errorf("%d of %d delays", m.value, m.n)
	}
}

func TestMedianDeviation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var m median
	m.reset(MaxDelayFilter)
	sum := 0.0
	for i := range 6400 {
		d := 1e6 + 1000*rng.NormFloat64()
		if i%10 == 0 {
			d *= 3 // a tenth of outliers
		}
		m.add(wire.TimeInterval(d * 65536))
		sum += m.deviation.Nanoseconds()
	}
	if mean := sum / 6400; mean < 900 || mean > 1400 {
		t.Errorf("deviation %.0f of noise of 1000", mean)
	}
}

// Spans are exact: the same as in integers without bounds.
func TestSpanArithmetic(t *testing.T) {
	scaled := func(s Span) *big.Int {
		b := big.NewInt(s.ns)
		return b.Add(b.Lsh(b, 16), big.NewInt(int64(s.frac)))
	}
	rng := rand.New(rand.NewPCG(2, 2))
	edges := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}
	draw := func() Span {
		s := Span{int64(rng.Uint64()) >> rng.IntN(63), uint16(rng.Uint32())}
		if rng.IntN(3) == 0 {
			s.ns = edges[rng.IntN(len(edges))]
		}
		return s
	}
	low, high := scaled(Span{math.MinInt64, 0}), scaled(Span{math.MaxInt64, 0xffff})
	check := func(op string, a, b, got Span, ok bool, want *big.Int) {
		t.Helper()
		fits := want.Cmp(low) >= 0 && want.Cmp(high) <= 0
		if ok && (!fits || scaled(got).Cmp(want) != 0) {
			t.Fatalf("%v %s %v = %v", a, op, b, got)
		}
		if inner := want.BitLen() < 63+16 && max(a.ns, b.ns) < math.MaxInt64-1 && min(a.ns, b.ns) > math.MinInt64+1; !ok && inner {
			t.Fatalf("%v %s %v is refused", a, op, b)
		}
	}
	for range 20_000 {
		a, b := draw(), draw()
		sum, ok := a.Add(b)
		check("+", a, b, sum, ok, new(big.Int).Add(scaled(a), scaled(b)))
		difference, ok := a.Sub(b)
		check("-", a, b, difference, ok, new(big.Int).Sub(scaled(a), scaled(b)))
		if c, ok := a.Interval(); ok && (intervalSpan(c) != a || big.NewInt(int64(c)).Cmp(scaled(a)) != 0) {
			t.Fatalf("%v as interval: %v", a, c)
		}
	}
}

// What the corrections did to the clock is known at every instant, across the end of the ring and across a step.
func TestSteering(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var s steering
	truth := []float64{0}
	at := []int64{0}
	ppb := []float64{1000}
	s.change(0, 1000)
	for i := range 200 {
		d := rng.Int64N(1e9)
		truth = append(truth, truth[i]+float64(d)*ppb[i]*1e-9)
		at = append(at, at[i]+d)
		ppb = append(ppb, -50_000+rng.Float64()*100_000)
		s.change(at[i+1], ppb[i+1])
	}
	s.step(-12345)
	for i := 145; i < 200; i++ {
		if got, want := s.moved(at[i]-12345, at[i+1]-12345), truth[i+1]-truth[i]; math.Abs(got-want) > 1e-3 {
			t.Errorf("change %d: moved %v, want %v", i, got, want)
		}
	}
	if got, want := s.moved(at[200]-12345, at[200]-12345+1e9), ppb[200]; math.Abs(got-want) > 1e-3 {
		t.Errorf("after the last: %v, want %v", got, want)
	}
	// The clock was set back: the history counts no more, the correction stays.
	s.change(-1e9, 7)
	if got := s.moved(-2e9, -1e9); math.Abs(got-ppb[200]) > 1e-3 {
		t.Errorf("before the first: %v, want %v", got, ppb[200])
	}
}

func TestForwardAt(t *testing.T) {
	var tr track
	var s steering
	at := func(t2 int64) (float64, bracket) {
		p, where, _ := tr.forwardAt(t2, &s)
		return float64(p.forward.ns) + float64(p.forward.frac)/65536, where
	}
	if _, where := at(5); where != tooLate {
		t.Error("an empty track knows the future")
	}
	for i := range int64(100) {
		tr.add(point{t2: i * 1000, forward: Span{ns: i * i}})
	}
	if _, where := at(99_001); where != tooLate {
		t.Error("after the latest")
	}
	if _, where := at(67_999); where != tooEarly {
		t.Error("before the oldest")
	}
	for _, tc := range []struct {
		at   int64
		want float64
	}{{68_000, 68 * 68}, {99_000, 99 * 99}, {80_500, (80*80 + 81*81) / 2.0}, {80_250, 80*80 + 161/4.0}} {
		if got, where := at(tc.at); where != bracketed || math.Abs(got-tc.want) > 1e-4 {
			t.Errorf("at %d: %v, want %v", tc.at, got, tc.want)
		}
	}
	tr.step(1e9)
	if got, _ := at(1e9 + 80_000); got != 80*80+1e9 {
		t.Errorf("after a step: %v", got)
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons + 1 {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("reason %d is called %q", r, s)
		}
		seen[r.String()] = true
	}
}

// Senders are told apart by each part of their identity and address.
func TestUnknownMastersHash(t *testing.T) {
	c := unknownMasters{secret: [2]uint64{1, 2}}
	id := wire.PortIdentity{Clock: wire.ClockIdentity{1, 2, 3, 4, 5, 6, 7, 8}, Port: 1}
	seen := map[uint64]bool{}
	for _, s := range []struct {
		id   wire.PortIdentity
		from Address
	}{
		{id, Address{}}, {wire.PortIdentity{Clock: id.Clock, Port: 2}, Address{}},
		{wire.PortIdentity{Clock: wire.ClockIdentity{9}, Port: 1}, Address{}},
		{id, Address{MAC: [6]byte{2}}}, {id, Address{MAC: [6]byte{5: 2}}},
		{id, Address{IP: netip.AddrFrom4([4]byte{192, 0, 2, 1})}},
		{id, Address{IP: netip.AddrFrom4([4]byte{192, 0, 2, 2})}},
	} {
		seen[c.hash(s.id, s.from)] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d hashes of 7 senders", len(seen))
	}
}
