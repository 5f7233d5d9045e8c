// SPDX-License-Identifier: Apache-2.0

// Package ptptest has a small PTP grandmaster for tests, demonstrations and simulations. Like the port that it serves it
// does no I/O and knows no time but what it is told.
package ptptest

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// Config says how a Master works.
type Config struct {
	Identity     wire.PortIdentity
	Domain       uint8
	SdoID        uint16
	MinorVersion uint8
	// OneStep sends Sync messages with the time in them instead of Follow_Up messages.
	OneStep bool
	// Intervals of the messages, exponents of 2 of seconds, within −7 and 6; LogMinDelayReqInterval is what clients are
	// granted.
	LogAnnounceInterval, LogSyncInterval, LogMinDelayReqInterval int8
}

// Properties is what a Master announces. It may be changed at any time.
type Properties struct {
	Priority1, Priority2 uint8
	Quality              wire.ClockQuality
	// Grandmaster is the Master's own identity if zero.
	Grandmaster  wire.ClockIdentity
	StepsRemoved uint16
	Time         wire.TimeProperties
	// Flags are set in all messages besides those that belong there.
	Flags wire.Flags
}

// Good returns what a grandmaster locked to GNSS announces.
func Good() Properties {
	return Properties{
		Priority1: 128,
		Priority2: 128,
		Quality:   wire.ClockQuality{Class: 6, Accuracy: 0x21, OffsetScaledLogVariance: 0x4e5d},
		Time: wire.TimeProperties{
			UTCOffset: 37, UTCOffsetValid: true, PTPTimescale: true,
			TimeTraceable: true, FrequencyTraceable: true, Source: wire.TimeSourceGNSS,
		},
	}
}

// Faults are what a Master does wrong. They may be changed at any time.
type Faults struct {
	// Shift is added to every timestamp that is sent.
	Shift time.Duration
	// Lose, if set, is asked before a message is sent, and loses it if true.
	Lose func(wire.MessageType) bool
	// SyncCorrection and DelayCorrection are added to the correctionField of Sync and Delay_Resp.
	SyncCorrection, DelayCorrection wire.TimeInterval
	// Silent loses all messages.
	Silent bool
}

// Output is what a Master acts through. b is valid during the call only.
type Output interface {
	// SendEvent sends an event message; when it left is told by Transmitted with the id returned.
	SendEvent(b []byte) (id uint32, err error)
	// SendGeneral sends a message that needs no timestamp.
	SendGeneral(b []byte) error
	// Time returns the master's time now in ns, for the Sync messages of a one-step master.
	Time() int64
}

// pending is a Sync whose transmit timestamp is waited for.
type pending struct {
	used bool
	id   uint32
	seq  uint16
}

// Master is a grandmaster's port. Its methods have to be called from one goroutine.
type Master struct {
	Properties Properties
	Faults     Faults

	cfg                  Config
	out                  Output
	started              bool
	announceAt, syncAt   clock.Mono
	announceSeq, syncSeq uint16
	waiting              [8]pending
	turn                 int
	buf                  []byte
}

// NewMaster makes a Master that announces Good from the first Wake on.
func NewMaster(cfg Config, out Output) *Master {
	return &Master{Properties: Good(), cfg: cfg, out: out, buf: make([]byte, 0, 128)}
}

// NextWake returns when Wake is to be called next.
func (m *Master) NextWake() clock.Mono { return min(m.announceAt, m.syncAt) }

// Wake sends what is due.
func (m *Master) Wake(now clock.Mono) {
	if !m.started {
		m.started, m.announceAt, m.syncAt = true, now, now
	}
	if now >= m.announceAt {
		m.announceAt = after(now, m.announceAt, m.cfg.LogAnnounceInterval)
		m.announce()
	}
	if now >= m.syncAt {
		m.syncAt = after(now, m.syncAt, m.cfg.LogSyncInterval)
		m.sync()
	}
}

// after returns the next instant of a raster, leaving out those that have passed.
func after(now, due clock.Mono, log int8) clock.Mono {
	interval := Interval(log)
	if due = due.Add(interval); due <= now {
		due = now.Add(interval)
	}
	return due
}

// Interval returns 2^log seconds, with log within −7 and 6.
func Interval(log int8) time.Duration {
	log = min(max(log, -7), 6)
	if log < 0 {
		return time.Second >> -log
	}
	return time.Second << log
}

// Receive answers Delay_Req messages; others are ignored.
func (m *Master) Receive(_ clock.Mono, b []byte, ts clock.Timestamp) {
	var req wire.DelayReq
	if req.Parse(b) != nil || ts.IsZero() || req.Domain != m.cfg.Domain || req.SdoID != m.cfg.SdoID {
		return
	}
	t4, err := wire.TimestampOf(m.shifted(ts))
	if err != nil {
		return
	}
	correction, ok := req.Correction.Add(m.Faults.DelayCorrection)
	if !ok {
		return
	}
	resp := wire.DelayResp{
		Header:     m.header(req.SequenceID, m.cfg.LogMinDelayReqInterval, correction),
		Receive:    t4,
		Requesting: req.Source,
	}
	answer, err := resp.Append(m.buf)
	m.general(wire.MessageDelayResp, answer, err)
}

// Transmitted tells when a Sync left, and has its Follow_Up sent.
func (m *Master) Transmitted(_ clock.Mono, id uint32, ts clock.Timestamp) {
	for i := range m.waiting {
		w := &m.waiting[i]
		if !w.used || w.id != id {
			continue
		}
		w.used = false
		t1, err := wire.TimestampOf(m.shifted(ts))
		if err != nil || ts.IsZero() {
			return
		}
		f := wire.FollowUp{Header: m.header(w.seq, m.cfg.LogSyncInterval, 0), PreciseOrigin: t1}
		b, err := f.Append(m.buf)
		m.general(wire.MessageFollowUp, b, err)
		return
	}
}

func (m *Master) shifted(ts clock.Timestamp) int64 { return ts.Add(m.Faults.Shift).Nanoseconds() }

func (m *Master) header(seq uint16, log int8, correction wire.TimeInterval) wire.Header {
	return wire.Header{
		SdoID: m.cfg.SdoID, MinorVersion: m.cfg.MinorVersion, Domain: m.cfg.Domain, Flags: m.Properties.Flags,
		Correction: correction, Source: m.cfg.Identity, SequenceID: seq, LogInterval: log,
	}
}

func (m *Master) lose(t wire.MessageType) bool {
	return m.Faults.Silent || m.Faults.Lose != nil && m.Faults.Lose(t)
}

// general sends the result of an Append.
func (m *Master) general(t wire.MessageType, b []byte, err error) {
	if err == nil && !m.lose(t) {
		_ = m.out.SendGeneral(b) // a message that cannot be sent is a lost message
	}
}

func (m *Master) announce() {
	p := &m.Properties
	m.announceSeq++
	a := wire.Announce{
		Header:       m.header(m.announceSeq, m.cfg.LogAnnounceInterval, 0),
		Priority1:    p.Priority1,
		Quality:      p.Quality,
		Priority2:    p.Priority2,
		Grandmaster:  p.Grandmaster,
		StepsRemoved: p.StepsRemoved,
	}
	if a.Grandmaster == (wire.ClockIdentity{}) {
		a.Grandmaster = m.cfg.Identity.Clock
	}
	a.SetTimeProperties(p.Time)
	b, err := a.Append(m.buf)
	m.general(wire.MessageAnnounce, b, err)
}

func (m *Master) sync() {
	m.syncSeq++
	s := wire.Sync{Header: m.header(m.syncSeq, m.cfg.LogSyncInterval, m.Faults.SyncCorrection)}
	if m.cfg.OneStep {
		t1, err := wire.TimestampOf(m.out.Time() + int64(m.Faults.Shift))
		if err != nil {
			return
		}
		s.Origin = t1
	} else {
		s.Flags |= wire.FlagTwoStep
	}
	b, err := s.Append(m.buf)
	if err != nil || m.lose(wire.MessageSync) {
		return
	}
	id, err := m.out.SendEvent(b)
	if err != nil || m.cfg.OneStep {
		return
	}
	m.waiting[m.turn] = pending{true, id, m.syncSeq}
	m.turn = (m.turn + 1) % len(m.waiting)
}
