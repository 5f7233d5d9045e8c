// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"cmp"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// DataSet is what the best master clock algorithm compares (IEEE 1588-2019 §9.3.4, table 21).
type DataSet struct {
	Priority1    uint8
	Quality      wire.ClockQuality
	Priority2    uint8
	Grandmaster  wire.ClockIdentity
	StepsRemoved uint16
	// Sender is the port that sent the Announce, Receiver the port that it came in by.
	Sender, Receiver wire.PortIdentity
}

// dataSetOf returns what the message tells, as received by the given port.
func dataSetOf(m *wire.Announce, receiver wire.PortIdentity) DataSet {
	return DataSet{
		Priority1:    m.Priority1,
		Quality:      m.Quality,
		Priority2:    m.Priority2,
		Grandmaster:  m.Grandmaster,
		StepsRemoved: m.StepsRemoved,
		Sender:       m.Source,
		Receiver:     receiver,
	}
}

// Comparison is the outcome of comparing data sets a and b. Negative: a is better.
type Comparison int8

// The outcomes of IEEE 1588-2019 figures 34 and 35.
const (
	ABetter           Comparison = -2
	ABetterByTopology Comparison = -1
	// Same: both were received by the same port from the same port ("error-2" of figure 35).
	Same              Comparison = 0
	BBetterByTopology Comparison = 1
	BBetter           Comparison = 2
	// OwnMessage: one of them was sent by the port that received it ("error-1" of figure 35).
	OwnMessage Comparison = 3
)

// Compare is the data set comparison algorithm of IEEE 1588-2019 §9.3.4.
func Compare(a, b *DataSet) Comparison {
	if a.Grandmaster == b.Grandmaster {
		return compareTopology(a, b)
	}
	better := cmp.Or(
		cmp.Compare(a.Priority1, b.Priority1),
		cmp.Compare(a.Quality.Class, b.Quality.Class),
		cmp.Compare(a.Quality.Accuracy, b.Quality.Accuracy),
		cmp.Compare(a.Quality.OffsetScaledLogVariance, b.Quality.OffsetScaledLogVariance),
		cmp.Compare(a.Priority2, b.Priority2),
		a.Grandmaster.Compare(b.Grandmaster))
	if better < 0 {
		return ABetter
	}
	return BBetter
}

// compareTopology is figure 35: the same grandmaster seen along two ways.
func compareTopology(a, b *DataSet) Comparison {
	switch d := int(a.StepsRemoved) - int(b.StepsRemoved); {
	case d > 1:
		return BBetter
	case d < -1:
		return ABetter
	case d == 1:
		return fartherByOne(a, BBetter, BBetterByTopology)
	case d == -1:
		return fartherByOne(b, ABetter, ABetterByTopology)
	}
	switch d := cmp.Or(a.Sender.Compare(b.Sender), cmp.Compare(a.Receiver.Port, b.Receiver.Port)); {
	case d < 0:
		return ABetterByTopology
	case d > 0:
		return BBetterByTopology
	}
	return Same
}

// fartherByOne decides when far is one step farther from the grandmaster than the other.
func fartherByOne(far *DataSet, better, byTopology Comparison) Comparison {
	switch d := far.Receiver.Compare(far.Sender); {
	case d < 0:
		return better
	case d > 0:
		return byTopology
	}
	return OwnMessage
}
