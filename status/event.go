// SPDX-License-Identifier: Apache-2.0

package status

import (
	"log/slog"
	"strings"
	"time"
)

// EventKind says what has happened.
type EventKind uint8

// The kinds of events. The comment names the fields; those in brackets may be missing.
const (
	// StateChanged of the host: state, reason.
	StateChanged EventKind = iota + 1
	// SteeringResumed on request, after a panic.
	SteeringResumed
	// SourceFollowed, SourceLost, SourceDoubted: reason.
	SourceFollowed
	SourceLost
	SourceDoubted
	// SourceJumped: offset.
	SourceJumped
	// SourceAgrees with this host again, SourceAccepted at the time to which it has jumped.
	SourceAgrees
	SourceAccepted
	// ServerReplaced: server, former. ServerUseless: server, reason. KissIgnored: server, code.
	ServerReplaced
	ServerUseless
	KissIgnored
	// PortChanged: from, to, reason. PortConflict: parent, conflict.
	PortChanged
	PortConflict
	// ClockStepped, ClockSet: offset, by which it was moved. ClockLocked, ClockLost, ClockPanicked: offset.
	ClockStepped
	ClockSet
	ClockLocked
	ClockLost
	ClockPanicked
	// UTCOffsetChanged: seconds, origin. UTCOffsetUnknown. UTCOffsetDisputed: seconds, origin, former.
	UTCOffsetChanged
	UTCOffsetUnknown
	UTCOffsetDisputed
	// LeapDoubted, LeapArmed, LeapDisarmed: reason. LeapTakenOver. LeapCarriedOut: [seconds]. LeapConfirmed: votes, voters.
	// LeapUndone.
	LeapDoubted
	LeapArmed
	LeapDisarmed
	LeapTakenOver
	LeapCarriedOut
	LeapConfirmed
	LeapUndone
	// TimestampingRestored of an interface: [times].
	TimestampingRestored
)

// eventText returns of each kind its name, its level and its text: {name} stands for a field, {subject} for the subject, and
// what is in brackets is left out if a field in it is missing.
func eventText(k EventKind) (name string, level slog.Level, text string) {
	const info, warn = slog.LevelInfo, slog.LevelWarn
	switch k {
	case StateChanged:
		return "state-changed", info, "{state}: {reason}"
	case SteeringResumed:
		return "steering-resumed", info, "steering resumed on request"
	case SourceFollowed:
		return "source-followed", info, "following {subject}: {reason}"
	case SourceLost:
		return "source-lost", warn, "{subject} is lost: {reason}"
	case SourceDoubted:
		return "source-doubted", warn, "{subject} is not believed: {reason}"
	case SourceJumped:
		return "source-jumped", warn, "{subject} has jumped by {offset}"
	case SourceAgrees:
		return "source-agrees", info, "{subject} agrees with this host again"
	case SourceAccepted:
		return "source-accepted", warn, "{subject} is followed to its new time: no other source contradicts it"
	case ServerReplaced:
		return "server-replaced", info, "{subject}: server {server} in place of {former}"
	case ServerUseless:
		return "server-useless", info, "{subject} ({server}) is of no use: {reason}"
	case KissIgnored:
		return "kiss-ignored", warn, "{subject} ({server}): kiss-o'-death {code} is ignored: somebody else sent it, " +
			"as the server has answered the same request"
	case PortChanged:
		return "port-changed", info, "port {subject}: {from} to {to}: {reason}"
	case PortConflict:
		return "port-conflict", warn, "port {subject}: {parent} speaks with two voices: {conflict}"
	case ClockStepped:
		return "clock-stepped", info, "{subject} stepped by {offset}"
	case ClockSet:
		return "clock-set", warn, "{subject} was set by somebody else, by {offset}"
	case ClockLocked:
		return "clock-locked", info, "{subject} locked, offset {offset}"
	case ClockLost:
		return "clock-lost", warn, "{subject} is {offset} off, not locked any more"
	case ClockPanicked:
		return "clock-panicked", slog.LevelError,
			"{subject} is {offset} off, more than the panic threshold: nothing is steered until told to resume"
	case UTCOffsetChanged:
		return "utc-offset-changed", info, "TAI−UTC is {seconds} s, by {origin}"
	case UTCOffsetUnknown:
		return "utc-offset-unknown", warn, "TAI−UTC is unknown"
	case UTCOffsetDisputed:
		return "utc-offset-disputed", warn, "{origin} says that TAI−UTC is {seconds} s, not {former} s: that is not believed yet"
	case LeapDoubted:
		return "leap-doubted", warn, "{reason}"
	case LeapArmed:
		return "leap-armed", info, "a leap second is armed for the end of the UTC day: {reason}"
	case LeapDisarmed:
		return "leap-disarmed", info, "the leap second is not armed any more: {reason}"
	case LeapTakenOver:
		return "leap-taken-over", info, "a leap second was armed in the kernel already; it stays until the sources say otherwise"
	case LeapCarriedOut:
		return "leap-carried-out", info, "leap second[: TAI−UTC is {seconds} s from now on]"
	case LeapConfirmed:
		return "leap-confirmed", info, "the leap second is confirmed by {votes} of {voters} sources"
	case LeapUndone:
		return "leap-undone", warn, "the sources have had no leap second: the system clock is a second off"
	case TimestampingRestored:
		return "timestamping-restored", warn,
			"timestamping of {subject} was changed by another program or a reset, and has been configured again[, {times} times]"
	}
	return "unknown", info, "unknown event"
}

// String returns the name that logs and JSON have for the kind.
func (k EventKind) String() string {
	name, _, _ := eventText(k)
	return name
}

// Event is one change that a person or a program wants to know of. Nothing in it is English but what Text makes of it.
type Event struct {
	Kind EventKind
	// Subject that it is about: the ID of a source, the name of a clock or of an interface; empty for the host as a whole.
	Subject string
	// Fields as the kind has them.
	Fields []slog.Attr
}

// NewEvent returns an event.
func NewEvent(kind EventKind, subject string, fields ...slog.Attr) Event {
	return Event{Kind: kind, Subject: subject, Fields: fields}
}

// Level returns how severe it is.
func (e Event) Level() slog.Level {
	_, level, _ := eventText(e.Kind)
	if state, ok := e.field("state"); ok && e.Kind == StateChanged &&
		(state == string(Unsynchronised) || state == string(Panicked)) {
		return slog.LevelWarn
	}
	return level
}

// Attrs returns kind, subject and fields for a log.
func (e Event) Attrs() []slog.Attr {
	all := []slog.Attr{slog.String("event", e.Kind.String())}
	if e.Subject != "" {
		all = append(all, slog.String("subject", e.Subject))
	}
	return append(all, e.Fields...)
}

func (e Event) field(name string) (text string, ok bool) {
	if name == "subject" {
		return e.Subject, true
	}
	for _, f := range e.Fields {
		if f.Key == name {
			return f.Value.String(), true
		}
	}
	return "", false
}

// Text returns a sentence without a full stop.
func (e Event) Text() string {
	_, _, text := eventText(e.Kind)
	if before, rest, optional := strings.Cut(text, "["); optional {
		inside, after, _ := strings.Cut(rest, "]")
		filled, complete := e.fill(inside)
		if !complete {
			filled = ""
		}
		before, _ = e.fill(before)
		after, _ = e.fill(after)
		return before + filled + after
	}
	text, _ = e.fill(text)
	return text
}

// fill puts the fields into a text, and reports whether there are all of them.
func (e Event) fill(text string) (_ string, complete bool) {
	var b strings.Builder
	complete = true
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String(), complete
		}
		name, after, _ := strings.Cut(rest, "}")
		value, ok := e.field(name)
		b.WriteString(value)
		complete = complete && ok
		text = after
	}
}

// At returns the event as a snapshot shows it, the nth since the start.
func (e Event) At(t time.Time, n uint64) PastEvent {
	p := PastEvent{Number: n, Time: t, Kind: e.Kind.String(), Subject: e.Subject, Level: e.Level().String(), Text: e.Text()}
	if len(e.Fields) > 0 {
		p.Fields = make(map[string]any, len(e.Fields))
	}
	for _, f := range e.Fields {
		switch f.Value.Kind() {
		case slog.KindDuration:
			p.Fields[f.Key+"_ns"] = f.Value.Duration().Nanoseconds()
		case slog.KindInt64:
			p.Fields[f.Key] = f.Value.Int64()
		default:
			p.Fields[f.Key] = f.Value.String()
		}
	}
	return p
}

// PastEvent is an event as a snapshot shows it.
type PastEvent struct {
	// Number counts the events since the start of the daemon, from 1. It tells one event from another: times move as the
	// clock is set.
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	// Kind: "source-followed", "clock-stepped"; Level: "INFO", "WARN", "ERROR".
	Kind    string `json:"kind"`
	Subject string `json:"subject,omitempty"`
	Level   string `json:"level"`
	// Fields of the kind; durations are in nanoseconds, under a name that ends in "_ns".
	Fields map[string]any `json:"fields,omitempty"`
	// Text is a sentence for people.
	Text string `json:"text"`
}
