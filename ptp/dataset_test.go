// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

func TestCompareFigure34(t *testing.T) {
	base := ptp.DataSet{
		Priority1: 128, Quality: wire.ClockQuality{Class: 128, Accuracy: 0x21, OffsetScaledLogVariance: 100}, Priority2: 128,
		Grandmaster: wire.ClockIdentity{5}, Sender: portNumber(5), Receiver: clientPort,
	}
	// From the most to the least significant: each worsens one attribute and betters all after it.
	worse := []func(*ptp.DataSet){
		func(d *ptp.DataSet) { d.Priority1++ },
		func(d *ptp.DataSet) { d.Quality.Class++ },
		func(d *ptp.DataSet) { d.Quality.Accuracy++ },
		func(d *ptp.DataSet) { d.Quality.OffsetScaledLogVariance++ },
		func(d *ptp.DataSet) { d.Priority2++ },
		func(d *ptp.DataSet) { d.Grandmaster[0]++ },
	}
	better := []func(*ptp.DataSet){
		func(d *ptp.DataSet) { d.Priority1 = 0 },
		func(d *ptp.DataSet) { d.Quality.Class = 0 },
		func(d *ptp.DataSet) { d.Quality.Accuracy = 0 },
		func(d *ptp.DataSet) { d.Quality.OffsetScaledLogVariance = 0 },
		func(d *ptp.DataSet) { d.Priority2 = 0 },
		func(d *ptp.DataSet) { d.Grandmaster = wire.ClockIdentity{0, 1} },
	}
	for i := range worse {
		d := base
		d.Grandmaster[7] = 1 // not the same grandmaster
		for j := i + 1; j < len(better); j++ {
			better[j](&d)
		}
		worse[i](&d)
		if a, b := ptp.Compare(&base, &d), ptp.Compare(&d, &base); a != ptp.ABetter || b != ptp.BBetter {
			t.Errorf("attribute %d: %d, %d", i, a, b)
		}
	}
}

func TestCompareFigure35(t *testing.T) {
	low, mid, high := portNumber(1), portNumber(5), portNumber(9)
	set := func(steps uint16, sender, receiver wire.PortIdentity) ptp.DataSet {
		return ptp.DataSet{StepsRemoved: steps, Sender: sender, Receiver: receiver}
	}
	port2 := mid
	port2.Port = 2
	for i, tc := range []struct {
		a, b ptp.DataSet
		want ptp.Comparison
	}{
		{set(3, low, mid), set(1, low, mid), ptp.BBetter},
		{set(1, low, mid), set(3, low, mid), ptp.ABetter},
		{set(2, high, mid), set(1, low, mid), ptp.BBetter},
		{set(2, low, mid), set(1, high, mid), ptp.BBetterByTopology},
		{set(2, mid, mid), set(1, high, mid), ptp.OwnMessage},
		{set(1, low, mid), set(2, high, mid), ptp.ABetter},
		{set(1, low, mid), set(2, low, mid), ptp.ABetterByTopology},
		{set(1, low, mid), set(1, high, mid), ptp.ABetterByTopology},
		{set(1, high, mid), set(1, low, mid), ptp.BBetterByTopology},
		{set(1, low, mid), set(1, low, port2), ptp.ABetterByTopology},
		{set(1, low, port2), set(1, low, mid), ptp.BBetterByTopology},
		{set(1, low, mid), set(1, low, mid), ptp.Same},
	} {
		if got := ptp.Compare(&tc.a, &tc.b); got != tc.want {
			t.Errorf("case %d: %d, want %d", i, got, tc.want)
		}
	}
}

func TestCompareIsAntisymmetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	few := func() byte { return byte(rng.IntN(2)) }
	draw := func() ptp.DataSet {
		return ptp.DataSet{
			Priority1: few(), Quality: wire.ClockQuality{Class: few()}, Grandmaster: wire.ClockIdentity{few()},
			StepsRemoved: uint16(rng.IntN(4)), Sender: portNumber(few()), Receiver: portNumber(9),
		}
	}
	for range 20_000 {
		a, b := draw(), draw()
		if x, y := ptp.Compare(&a, &b), ptp.Compare(&b, &a); x != -y {
			t.Fatalf("%+v, %+v: %d and %d", a, b, x, y)
		}
	}
}
