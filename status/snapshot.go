// SPDX-License-Identifier: Apache-2.0

// Package status is what the daemon shows of itself: one immutable snapshot of the discipline's state, which the
// control socket, the metrics and the commands all read.
package status

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// State says how the host's time is kept, in one word.
type State string

// The states of a host's time.
const (
	// Starting: no source has been selected since the start.
	Starting State = "starting"
	// Acquiring: a source is followed, and the clocks are still on their way to it.
	Acquiring State = "acquiring"
	// Locked: the clocks follow the selected source.
	Locked State = "locked"
	// Holdover: no usable source; the clocks keep their learned frequency, and the maximum error grows.
	Holdover State = "holdover"
	// Unsynchronised: the maximum error has passed the limit of holdover, no source was ever usable or is followed, or the
	// source that is followed tells the system clock nothing, for want of TAI − UTC.
	Unsynchronised State = "unsynchronised"
	// Panicked: a step beyond the panic threshold would be needed; nothing is steered until the daemon is told to.
	Panicked State = "panic"
)

// Snapshot is the state of the daemon at one instant. It is never changed once made; all durations are in nanoseconds
// in JSON.
type Snapshot struct {
	// Version of the daemon.
	Version string `json:"version"`
	// Time is when the snapshot was made, by the system clock (the virtual one where that is steered).
	Time time.Time `json:"time"`
	// Started is the same at the start of the daemon.
	Started time.Time `json:"started"`
	State   State     `json:"state"`
	// Changed is when State or Selected last changed, and Reason why, as a sentence; ReasonCode is its kind: "following".
	Changed    time.Time `json:"changed"`
	Reason     string    `json:"reason"`
	ReasonCode string    `json:"reason_code"`
	// Selected is the source that leads, empty if none.
	Selected source.ID `json:"selected,omitempty"`
	// Offset of the system clock to the selected source as last estimated; MaxError bounds the system clock's error, and is
	// left out (0) while nothing is known of either. Of a host whose system clock is not to be steered they are a PHC's.
	Offset   time.Duration `json:"offset_ns"`
	MaxError time.Duration `json:"max_error_ns,omitzero"`
	// UTC tells where TAI − UTC comes from.
	UTC UTCOffset `json:"utc"`
	// Clocks of this host, the root of the clock graph first; Sources in the order of the configuration.
	Clocks  []Clock  `json:"clocks"`
	Sources []Source `json:"sources"`
	Ports   []Port   `json:"ports"`
	// Steps counts the steps of the clocks since the start.
	Steps uint64 `json:"steps"`
	// Overrun counts the datagrams and transmit timestamps that were dropped because they came faster than the daemon could
	// take them.
	Overrun uint64 `json:"overrun"`
	// Events are the latest changes, oldest first, at most 32.
	Events []PastEvent `json:"events"`
}

// UTCOffset is TAI − UTC and its origin.
type UTCOffset struct {
	Known   bool `json:"known"`
	Seconds int  `json:"seconds"`
	// Origin: "source ptp:eth0", "leap-seconds list /usr/share/zoneinfo/leap-seconds.list", "configuration", "state file",
	// "unknown".
	Origin string `json:"origin"`
	// Leap second armed for the end of the UTC day: -1, 0, 1.
	Leap clock.Leap `json:"leap"`
	// LeapDoubt says why another leap second that is announced is not armed, as a sentence; empty if none is.
	LeapDoubt string `json:"leap_doubt,omitempty"`
	// ListExpires is when the leap-seconds list expires; zero if there is none.
	ListExpires time.Time `json:"list_expires,omitzero"`
}

// Clock is one clock of the host.
type Clock struct {
	// Name: "system", "ptp0"; Device: "CLOCK_REALTIME", "/dev/ptp0", "virtual".
	Name   string `json:"name"`
	Device string `json:"device"`
	// Interfaces whose NIC has this clock.
	Interfaces []string `json:"interfaces,omitempty"`
	Scale      string   `json:"scale"`
	// Follows is what the clock is steered by: a source's ID, the name of another clock, or empty when it runs free.
	Follows string `json:"follows,omitempty"`
	// State of this clock's servo: "free", "acquiring", "locked", "holdover".
	State string `json:"state"`
	// Offset to what it follows as last measured, and its root mean square over the last 64 updates.
	Offset    time.Duration `json:"offset_ns"`
	OffsetRMS time.Duration `json:"offset_rms_ns"`
	// MaxError bounds the clock's error.
	MaxError time.Duration `json:"max_error_ns"`
	// Frequency correction in force, in parts per billion.
	Frequency float64 `json:"frequency_ppb"`
	// Servo is the name of the steering law.
	Servo string `json:"servo"`
	// Updated is when it was last steered; Steps counts its steps.
	Updated time.Time `json:"updated,omitzero"`
	Steps   uint64    `json:"steps"`
	// Method and Window of the last crossing by which it is compared with the other clocks.
	Method string        `json:"crossing_method,omitempty"`
	Window time.Duration `json:"crossing_window_ns,omitempty"`
	// Error that keeps the clock from being steered, if any.
	Error string `json:"error,omitempty"`
}

// Source is one source of time.
type Source struct {
	ID      source.ID `json:"id"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Address string    `json:"address,omitempty"`
	// State: "unreachable", "warming up", "usable", "falseticker", "selected", "combined", "noselect", "unconfirmed".
	State string `json:"state"`
	// Why it is in that state, as a sentence; ReasonCode is its kind: "no-answer".
	Reason     string `json:"reason"`
	ReasonCode string `json:"reason_code"`
	Prefer     bool   `json:"prefer,omitempty"`
	Trust      bool   `json:"trust,omitempty"`
	// Offset of the host's time to the source, positive when the host is ahead; Jitter is its standard deviation.
	Offset time.Duration `json:"offset_ns"`
	Jitter time.Duration `json:"jitter_ns"`
	Delay  time.Duration `json:"delay_ns"`
	// Estimate is what all recent samples say together.
	Estimate Estimate `json:"estimate,omitzero"`
	// MaxError is the root distance: what the source's time may be wrong by as seen from here.
	MaxError time.Duration `json:"max_error_ns"`
	Stratum  int           `json:"stratum,omitempty"`
	// Reference: the grandmaster's clock identity, or an NTP reference identifier.
	Reference string `json:"reference,omitempty"`
	// Reach is the register of the last eight polls (NTP), lowest bit the latest.
	Reach uint8 `json:"reach"`
	// Kiss is the last kiss code (RFC 5905 §7.4) that an NTP server did not contradict by a true answer.
	Kiss string `json:"kiss,omitempty"`
	// Poll interval (NTP) or interval of Sync messages (PTP).
	Interval time.Duration `json:"interval_ns"`
	// Timestamps that the samples are made of: "hardware", "kernel", "user".
	Timestamps string `json:"timestamps,omitempty"`
	// LastSample is when the last sample was taken; Samples and Rejected count them since the start.
	LastSample time.Time `json:"last_sample,omitzero"`
	Samples    uint64    `json:"samples"`
	Rejected   uint64    `json:"rejected"`
	// Socket counts what the source's sockets have seen, zero for a source without sockets of its own.
	Socket Socket `json:"socket,omitzero"`
}

// Estimate of how the host's time differs from a source's, from all recent samples; zero as long as there are fewer than
// two.
type Estimate struct {
	// Offset of the host's time, positive when ahead, and its standard deviation.
	Offset   time.Duration `json:"offset_ns"`
	OffsetSD time.Duration `json:"offset_sd_ns"`
	// Frequency by which the host's time gains on the source's, and its standard deviation, in parts per billion.
	Frequency   float64 `json:"frequency_ppb"`
	FrequencySD float64 `json:"frequency_sd_ppb"`
	// Samples that it is made of, the older ones with less and less weight.
	Samples int `json:"samples"`
}

// Port is one PTP port.
type Port struct {
	Interface string `json:"interface"`
	Transport string `json:"transport"`
	Domain    uint8  `json:"domain"`
	SdoID     uint16 `json:"sdo_id"`
	// State per IEEE 1588-2019 table 20, lower case: "listening", "uncalibrated", "slave", "faulty", "disabled".
	State string `json:"state"`
	// Identity of the port, and of the parent port and the grandmaster where it has them.
	Identity      string        `json:"identity"`
	Parent        string        `json:"parent,omitempty"`
	Grandmaster   string        `json:"grandmaster,omitempty"`
	Timescale     string        `json:"timescale,omitempty"`
	MeanPathDelay time.Duration `json:"mean_path_delay_ns"`
	// Timestamping: "hardware" or "kernel"; Clock by which stamps are taken: "ptp0".
	Timestamping string `json:"timestamping"`
	Clock        string `json:"clock"`
	LinkUp       bool   `json:"link_up"`
	// Speed of the link in bits per second, 0 if unknown.
	Speed uint64 `json:"speed_bps,omitempty"`
	// Counters by name: messages received and sent by type, and what was dropped by reason.
	Received map[string]uint64 `json:"received,omitempty"`
	Sent     map[string]uint64 `json:"sent,omitempty"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"`
	Error    string            `json:"error,omitempty"`
	// Conflict says how it shows that two senders speak as the parent, as a clause, if it did within the last minute.
	// Conflicts counts what showed it, by kind: "address", "sequence", "content".
	Conflict  string            `json:"conflict,omitempty"`
	Conflicts map[string]uint64 `json:"conflicts,omitempty"`
	// Socket counts what the port's sockets have seen.
	Socket Socket `json:"socket,omitzero"`
}

// Socket counts what the sockets of a port or a source have seen since they were configured.
type Socket struct {
	// Received datagrams, and how many of them had no timestamp of the clock wanted: over Ethernet also general messages,
	// which need none.
	Received  uint64 `json:"received"`
	Unstamped uint64 `json:"unstamped"`
	// Discarded datagrams were too long, or came in by another interface; ReceiveErrors are errors of the kernel on reading.
	Discarded     uint64 `json:"discarded"`
	ReceiveErrors uint64 `json:"receive_errors"`
	// Sent datagrams, and those that the kernel refused.
	Sent       uint64 `json:"sent"`
	SendErrors uint64 `json:"send_errors"`
	// Stamped are transmit timestamps that came; StampsLost those that did not, StampsLate those that came when they had been
	// given up, StampsForeign those of nothing that was waited for, or by another clock.
	Stamped       uint64 `json:"stamped"`
	StampsLost    uint64 `json:"stamps_lost"`
	StampsLate    uint64 `json:"stamps_late"`
	StampsForeign uint64 `json:"stamps_foreign"`
}
