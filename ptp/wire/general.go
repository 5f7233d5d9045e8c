// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Announce is the message of IEEE 1588-2019 §13.5: what a master says of its grandmaster.
type Announce struct {
	Header
	// Origin is originTimestamp, an estimate or 0.
	Origin Timestamp
	// UTCOffset is currentUtcOffset, TAI − UTC in seconds, valid only with FlagUTCOffsetValid.
	UTCOffset int16
	// Priority1, Quality, Priority2 and Grandmaster are those of the grandmaster.
	Priority1   uint8
	Quality     ClockQuality
	Priority2   uint8
	Grandmaster ClockIdentity
	// StepsRemoved is the number of boundary clocks between the grandmaster and the sender.
	StepsRemoved uint16
	TimeSource   TimeSource
	TLVs         TLVs
}

// Parse takes the message from a datagram.
func (m *Announce) Parse(b []byte) error {
	if err := begin(b, MessageAnnounce, &m.Header, &m.TLVs); err != nil {
		return err
	}
	m.UTCOffset = int16(binary.BigEndian.Uint16(b[44:]))
	m.Priority1 = b[47]
	m.Quality = ClockQuality{b[48], ClockAccuracy(b[49]), binary.BigEndian.Uint16(b[50:])}
	m.Priority2 = b[52]
	copy(m.Grandmaster[:], b[53:])
	m.StepsRemoved = binary.BigEndian.Uint16(b[61:])
	m.TimeSource = TimeSource(b[63])
	return m.Origin.parse(b[headerSize:])
}

// Append adds the message to dst.
func (m *Announce) Append(dst []byte) ([]byte, error) {
	start := len(dst)
	dst, err := appendStart(dst, MessageAnnounce, &m.Header, m.Origin)
	if err != nil {
		return dst, err
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.UTCOffset))
	dst = append(dst, 0, m.Priority1, m.Quality.Class, byte(m.Quality.Accuracy))
	dst = binary.BigEndian.AppendUint16(dst, m.Quality.OffsetScaledLogVariance)
	dst = append(dst, m.Priority2)
	dst = append(dst, m.Grandmaster[:]...)
	dst = binary.BigEndian.AppendUint16(dst, m.StepsRemoved)
	return finish(append(dst, byte(m.TimeSource)), start, m.TLVs)
}

// TimeProperties returns what the message says of the timescale (IEEE 1588-2019 table 30).
func (m *Announce) TimeProperties() TimeProperties {
	return TimeProperties{
		UTCOffset:          m.UTCOffset,
		UTCOffsetValid:     m.Flags.Has(FlagUTCOffsetValid),
		Leap61:             m.Flags.Has(FlagLeap61),
		Leap59:             m.Flags.Has(FlagLeap59),
		TimeTraceable:      m.Flags.Has(FlagTimeTraceable),
		FrequencyTraceable: m.Flags.Has(FlagFrequencyTraceable),
		PTPTimescale:       m.Flags.Has(FlagPTPTimescale),
		Source:             m.TimeSource,
	}
}

// SetTimeProperties is the reverse of TimeProperties. The other flags stay.
func (m *Announce) SetTimeProperties(t TimeProperties) {
	m.UTCOffset, m.TimeSource = t.UTCOffset, t.Source
	m.Flags &^= FlagUTCOffsetValid | FlagLeap61 | FlagLeap59 | FlagTimeTraceable | FlagFrequencyTraceable | FlagPTPTimescale
	for _, f := range [...]struct {
		on   bool
		flag Flags
	}{
		{t.UTCOffsetValid, FlagUTCOffsetValid},
		{t.Leap61, FlagLeap61},
		{t.Leap59, FlagLeap59},
		{t.TimeTraceable, FlagTimeTraceable},
		{t.FrequencyTraceable, FlagFrequencyTraceable},
		{t.PTPTimescale, FlagPTPTimescale},
	} {
		if f.on {
			m.Flags |= f.flag
		}
	}
}

// Signaling is the message of IEEE 1588-2019 §13.12; its TLVs carry what it is about.
type Signaling struct {
	Header
	// Target is targetPortIdentity; all ones stand for every port.
	Target PortIdentity
	TLVs   TLVs
}

// Parse takes the message from a datagram.
func (m *Signaling) Parse(b []byte) error {
	if err := begin(b, MessageSignaling, &m.Header, &m.TLVs); err != nil {
		return err
	}
	m.Target.parse(b[headerSize:])
	return nil
}

// Append adds the message to dst.
func (m *Signaling) Append(dst []byte) ([]byte, error) {
	start := len(dst)
	dst, err := m.Header.append(dst, MessageSignaling)
	if err != nil {
		return dst[:start], err
	}
	return finish(m.Target.append(dst), start, m.TLVs)
}

// Management is the message of IEEE 1588-2019 §15.4.1.
type Management struct {
	Header
	// Target is targetPortIdentity; all ones stand for every port.
	Target PortIdentity
	// StartingBoundaryHops and BoundaryHops bound how far boundary clocks retransmit the message.
	StartingBoundaryHops, BoundaryHops uint8
	// Action is actionField, 4 bits: 0 GET, 1 SET, 2 RESPONSE, 3 COMMAND, 4 ACKNOWLEDGE.
	Action uint8
	TLVs   TLVs
}

// Parse takes the message from a datagram.
func (m *Management) Parse(b []byte) error {
	if err := begin(b, MessageManagement, &m.Header, &m.TLVs); err != nil {
		return err
	}
	m.Target.parse(b[headerSize:])
	m.StartingBoundaryHops, m.BoundaryHops, m.Action = b[44], b[45], b[46]&0xf
	return nil
}

// Append adds the message to dst.
func (m *Management) Append(dst []byte) ([]byte, error) {
	start := len(dst)
	if m.Action > 0xf {
		return dst, ErrRange
	}
	dst, err := m.Header.append(dst, MessageManagement)
	if err != nil {
		return dst[:start], err
	}
	dst = append(m.Target.append(dst), m.StartingBoundaryHops, m.BoundaryHops, m.Action, 0)
	return finish(dst, start, m.TLVs)
}
