// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// The messages below are parsed into structs that the caller owns and may use again. Parse returns the errors of
// Header.Parse, ErrType if the datagram is of another type, ErrTimestamp and ErrTLV. TLVs is then a part of the datagram.
// Append adds the message to dst and returns the longer slice, or ErrRange, ErrTimestamp or ErrTLV for a message that
// cannot be sent.

// Sync is the message of IEEE 1588-2019 §13.6.
type Sync struct {
	Header
	// Origin is originTimestamp: when a one-step master sent it, an estimate or 0 from a two-step one.
	Origin Timestamp
	TLVs   TLVs
}

// Parse takes the message from a datagram.
func (m *Sync) Parse(b []byte) error {
	return parseStamped(b, MessageSync, &m.Header, &m.Origin, &m.TLVs)
}

// Append adds the message to dst.
func (m *Sync) Append(dst []byte) ([]byte, error) {
	return appendStamped(dst, MessageSync, &m.Header, m.Origin, m.TLVs)
}

// DelayReq is the Delay_Req message of IEEE 1588-2019 §13.6.
type DelayReq struct {
	Header
	// Origin is originTimestamp, an estimate or 0.
	Origin Timestamp
	TLVs   TLVs
}

// Parse takes the message from a datagram.
func (m *DelayReq) Parse(b []byte) error {
	return parseStamped(b, MessageDelayReq, &m.Header, &m.Origin, &m.TLVs)
}

// Append adds the message to dst.
func (m *DelayReq) Append(dst []byte) ([]byte, error) {
	return appendStamped(dst, MessageDelayReq, &m.Header, m.Origin, m.TLVs)
}

// FollowUp is the Follow_Up message of IEEE 1588-2019 §13.7.
type FollowUp struct {
	Header
	// PreciseOrigin is preciseOriginTimestamp: when the Sync of the same sequenceId was sent.
	PreciseOrigin Timestamp
	TLVs          TLVs
}

// Parse takes the message from a datagram.
func (m *FollowUp) Parse(b []byte) error {
	return parseStamped(b, MessageFollowUp, &m.Header, &m.PreciseOrigin, &m.TLVs)
}

// Append adds the message to dst.
func (m *FollowUp) Append(dst []byte) ([]byte, error) {
	return appendStamped(dst, MessageFollowUp, &m.Header, m.PreciseOrigin, m.TLVs)
}

// DelayResp is the Delay_Resp message of IEEE 1588-2019 §13.8.
type DelayResp struct {
	Header
	// Receive is receiveTimestamp: when the Delay_Req arrived.
	Receive Timestamp
	// Requesting is the port that sent the Delay_Req.
	Requesting PortIdentity
	TLVs       TLVs
}

// Parse takes the message from a datagram.
func (m *DelayResp) Parse(b []byte) error {
	return parseResponse(b, MessageDelayResp, &m.Header, &m.Receive, &m.Requesting, &m.TLVs)
}

// Append adds the message to dst.
func (m *DelayResp) Append(dst []byte) ([]byte, error) {
	return appendResponse(dst, MessageDelayResp, &m.Header, m.Receive, m.Requesting, m.TLVs)
}

// PdelayReq is the Pdelay_Req message of IEEE 1588-2019 §13.9.
type PdelayReq struct {
	Header
	// Origin is originTimestamp, an estimate or 0.
	Origin Timestamp
	TLVs   TLVs
}

// Parse takes the message from a datagram.
func (m *PdelayReq) Parse(b []byte) error {
	var reserved PortIdentity
	return parseResponse(b, MessagePdelayReq, &m.Header, &m.Origin, &reserved, &m.TLVs)
}

// Append adds the message to dst.
func (m *PdelayReq) Append(dst []byte) ([]byte, error) {
	return appendResponse(dst, MessagePdelayReq, &m.Header, m.Origin, PortIdentity{}, m.TLVs)
}

// PdelayResp is the Pdelay_Resp message of IEEE 1588-2019 §13.10.
type PdelayResp struct {
	Header
	// RequestReceipt is requestReceiptTimestamp: when the Pdelay_Req arrived, or 0.
	RequestReceipt Timestamp
	// Requesting is the port that sent the Pdelay_Req.
	Requesting PortIdentity
	TLVs       TLVs
}

// Parse takes the message from a datagram.
func (m *PdelayResp) Parse(b []byte) error {
	return parseResponse(b, MessagePdelayResp, &m.Header, &m.RequestReceipt, &m.Requesting, &m.TLVs)
}

// Append adds the message to dst.
func (m *PdelayResp) Append(dst []byte) ([]byte, error) {
	return appendResponse(dst, MessagePdelayResp, &m.Header, m.RequestReceipt, m.Requesting, m.TLVs)
}

// PdelayRespFollowUp is the Pdelay_Resp_Follow_Up message of IEEE 1588-2019 §13.11.
type PdelayRespFollowUp struct {
	Header
	// ResponseOrigin is responseOriginTimestamp: when the Pdelay_Resp was sent, or 0.
	ResponseOrigin Timestamp
	// Requesting is the port that sent the Pdelay_Req.
	Requesting PortIdentity
	TLVs       TLVs
}

// Parse takes the message from a datagram.
func (m *PdelayRespFollowUp) Parse(b []byte) error {
	return parseResponse(b, MessagePdelayRespFollowUp, &m.Header, &m.ResponseOrigin, &m.Requesting, &m.TLVs)
}

// Append adds the message to dst.
func (m *PdelayRespFollowUp) Append(dst []byte) ([]byte, error) {
	return appendResponse(dst, MessagePdelayRespFollowUp, &m.Header, m.ResponseOrigin, m.Requesting, m.TLVs)
}

// begin parses the header and the TLVs of a message that has to be of type t.
func begin(b []byte, t MessageType, h *Header, tlvs *TLVs) error {
	if err := h.Parse(b); err != nil {
		return err
	}
	if h.Type != t {
		return ErrType
	}
	*tlvs = TLVs(b[messageKinds[t].size:h.length])
	return tlvs.Check()
}

// finish adds the TLVs to the message that begins at start, and writes its length.
func finish(dst []byte, start int, tlvs TLVs) ([]byte, error) {
	if err := tlvs.Check(); err != nil {
		return dst[:start], err
	}
	dst = append(dst, tlvs...)
	if len(dst)-start > 0xffff {
		return dst[:start], ErrRange
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst, nil
}

func parseStamped(b []byte, t MessageType, h *Header, ts *Timestamp, tlvs *TLVs) error {
	if err := begin(b, t, h, tlvs); err != nil {
		return err
	}
	return ts.parse(b[headerSize:])
}

func parseResponse(b []byte, t MessageType, h *Header, ts *Timestamp, port *PortIdentity, tlvs *TLVs) error {
	if err := begin(b, t, h, tlvs); err != nil {
		return err
	}
	port.parse(b[headerSize+timestampSize:])
	return ts.parse(b[headerSize:])
}

func appendStart(dst []byte, t MessageType, h *Header, ts Timestamp) ([]byte, error) {
	start := len(dst)
	dst, err := h.append(dst, t)
	if err == nil {
		dst, err = ts.append(dst)
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func appendStamped(dst []byte, t MessageType, h *Header, ts Timestamp, tlvs TLVs) ([]byte, error) {
	start := len(dst)
	dst, err := appendStart(dst, t, h, ts)
	if err != nil {
		return dst, err
	}
	return finish(dst, start, tlvs)
}

func appendResponse(dst []byte, t MessageType, h *Header, ts Timestamp, port PortIdentity, tlvs TLVs) ([]byte, error) {
	start := len(dst)
	dst, err := appendStart(dst, t, h, ts)
	if err != nil {
		return dst, err
	}
	return finish(port.append(dst), start, tlvs)
}
