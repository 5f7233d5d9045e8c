// SPDX-License-Identifier: Apache-2.0

// Package statustest makes snapshots for the tests of everything that shows them: one for each state that people meet.
// Each call returns a snapshot of its own, which the caller may change before it is shown to anybody.
package statustest

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/status"
)

// Now is the instant at which all the snapshots were made.
var Now = time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)

// Locked returns a host that follows a grandmaster, has three NTP servers beside it, one of which lies, and one PTP port
// without a link.
func Locked() *status.Snapshot {
	return &status.Snapshot{
		Version:  "0.1.0",
		Time:     Now,
		Started:  Now.Add(-3*time.Hour - 12*time.Minute),
		State:    status.Locked,
		Changed:  Now.Add(-3*time.Hour - 11*time.Minute - 53*time.Second),
		Reason:   "ptp:eth0 leads: it agrees with 2 of 3 other sources, and PTP is preferred",
		Selected: "ptp:eth0",
		Offset:   -12 * time.Nanosecond,
		MaxError: 1243 * time.Nanosecond,
		UTC: status.UTCOffset{
			Known: true, Seconds: 37, Origin: "source ptp:eth0", Leap: clock.NoLeap,
			ListExpires: time.Date(2026, 12, 28, 0, 0, 0, 0, time.UTC),
		},
		Clocks:  lockedClocks(),
		Sources: append([]status.Source{grandmaster()}, servers()...),
		Ports:   ports(),
		Steps:   2,
		Overrun: 5,
		Events: []status.PastEvent{
			{Number: 1, Time: Now.Add(-3*time.Hour - 12*time.Minute), Text: "started, frequency -30110.7 ppb from the state file"},
			{Number: 2, Time: Now.Add(-3*time.Hour - 11*time.Minute - 58*time.Second), Text: "ptp0 stepped by -37.3 s"},
			{Number: 3, Time: Now.Add(-3*time.Hour - 11*time.Minute - 53*time.Second), Text: "locked to ptp:eth0"},
			{Number: 4, Time: Now.Add(-42 * time.Minute), Text: "ntp:192.0.2.3 is a falseticker: 1.02 ms from the others"},
		},
	}
}

func lockedClocks() []status.Clock {
	return []status.Clock{
		{
			Name: "ptp0", Device: "/dev/ptp0", Interfaces: []string{"eth0", "eth0.7"}, Scale: "TAI",
			Follows: "ptp:eth0", State: "locked",
			Offset: 4, OffsetRMS: 5, MaxError: 812 * time.Nanosecond,
			Frequency: -30012.4, Servo: "adaptive", Updated: Now.Add(-90 * time.Millisecond), Steps: 1,
		},
		{
			Name: "system", Device: "CLOCK_REALTIME", Scale: "UTC",
			Follows: "ptp0", State: "locked",
			Offset: -12, OffsetRMS: 17, MaxError: 1243 * time.Nanosecond,
			Frequency: 11204.88, Servo: "adaptive", Updated: Now.Add(-90 * time.Millisecond), Steps: 1,
			Method: "extended", Window: 331 * time.Nanosecond,
		},
	}
}

func grandmaster() status.Source {
	return status.Source{
		ID: "ptp:eth0", Kind: "ptp", Name: "eth0", Address: "192.0.2.254",
		State: "selected", Reason: "agrees with 2 of 3 other sources, and PTP is preferred",
		Offset: 4, Jitter: 6, Delay: 1870, MaxError: 812, Stratum: 1, Reference: "001b19.fffe.0a0b0c",
		Interval: 125 * time.Millisecond, Timestamps: "hardware",
		LastSample: Now.Add(-90 * time.Millisecond), Samples: 92120, Rejected: 3,
		Estimate: status.Estimate{Offset: 1, OffsetSD: 2, Frequency: -0.3, FrequencySD: 1.1, Samples: 92117},
	}
}

func servers() []status.Source {
	return []status.Source{
		{
			ID: "ntp:192.0.2.1", Kind: "ntp", Name: "ntp1.example.net", Address: "192.0.2.1",
			State: "usable", Reason: "agrees, but ptp is preferred",
			Offset: 23400, Jitter: 11200, Delay: 311000, MaxError: 4120000, Stratum: 2, Reference: "198.51.100.7",
			Reach: 0xff, Interval: 16 * time.Second, Timestamps: "kernel",
			LastSample: Now.Add(-7 * time.Second), Samples: 719,
			Socket: status.Socket{Received: 719, Sent: 720, Stamped: 720},
		},
		{
			ID: "ntp:192.0.2.2", Kind: "ntp", Name: "ntp2.example.net", Address: "192.0.2.2",
			State: "usable", Reason: "agrees, but ptp is preferred", Prefer: true,
			Offset: -8100, Jitter: 9870, Delay: 290000, MaxError: 3980000, Stratum: 2, Reference: "GPS",
			Reach: 0xfd, Interval: 16 * time.Second, Timestamps: "kernel",
			LastSample: Now.Add(-12 * time.Second), Samples: 718, Rejected: 1, Kiss: "RATE",
			Estimate: status.Estimate{Offset: -8300, OffsetSD: 1400, Frequency: 2.2, FrequencySD: 14.6, Samples: 718},
		},
		{
			ID: "ntp:192.0.2.3", Kind: "ntp", Name: "ntp3.example.net", Address: "192.0.2.3",
			State: "falseticker", Reason: "its interval is 1.02 ms away from those of the majority",
			Offset: -1020000, Jitter: 10100, Delay: 302000, MaxError: 210000, Stratum: 2, Reference: "203.0.113.9",
			Reach: 0xff, Interval: 16 * time.Second, Timestamps: "kernel",
			LastSample: Now.Add(-3 * time.Second), Samples: 720,
		},
	}
}

func ports() []status.Port {
	return []status.Port{
		{
			Interface: "eth0", Transport: "udp4", Domain: 0, State: "slave",
			Identity: "001b19.fffe.111111-1", Parent: "001b19.fffe.0a0b0c-1", Grandmaster: "001b19.fffe.0a0b0c",
			Timescale: "PTP", MeanPathDelay: 935, Timestamping: "hardware", Clock: "ptp0",
			LinkUp: true, Speed: 1_000_000_000,
			Received: map[string]uint64{"announce": 5757, "sync": 92123, "follow_up": 92123, "delay_resp": 11402},
			Sent:     map[string]uint64{"delay_req": 11403},
			Dropped:  map[string]uint64{"no timestamp": 1, "other domain": 12, "address": 3},
			Conflict: "messages with its identity come from 192.0.2.66 as well", Conflicts: map[string]uint64{"address": 3},
			Socket: status.Socket{Received: 201_422, Unstamped: 1, Discarded: 2, Sent: 11_403, Stamped: 11_399,
				StampsLost: 4, StampsLate: 3},
		},
		{
			Interface: "eth1", Transport: "l2", Domain: 24, State: "faulty",
			Identity: "001b19.fffe.111112-1", Timestamping: "kernel", Clock: "system",
			Error: "the link is down",
		},
	}
}

// Holdover returns the host of Locked a while after it lost all its sources.
func Holdover() *status.Snapshot {
	s := Locked()
	s.State, s.Selected = status.Holdover, ""
	s.Changed = Now.Add(-95 * time.Second)
	s.Reason = "no source is usable since ptp:eth0 was lost (announce timeout) and no NTP server answers any more; " +
		"the clocks run on at their learned frequency"
	s.MaxError = 96500 * time.Nanosecond
	for i := range s.Clocks {
		s.Clocks[i].State, s.Clocks[i].MaxError = "holdover", 96500*time.Nanosecond
	}
	s.Clocks[0].Follows = ""
	for i := range s.Sources {
		s.Sources[i].State, s.Sources[i].Reason = "unreachable", "8 requests went unanswered"
		s.Sources[i].Reach, s.Sources[i].LastSample = 0, Now.Add(-96*time.Second)
	}
	s.Sources[0].Reason = "no Announce for 3 intervals"
	return s
}

// Starting returns a host that has just started: it has one source, and no sample yet.
func Starting() *status.Snapshot {
	return &status.Snapshot{
		Version: "0.1.0", Time: Now, Started: Now.Add(-800 * time.Millisecond), Changed: Now.Add(-800 * time.Millisecond),
		State: status.Starting, Reason: "waiting for the first source",
		UTC:    status.UTCOffset{Origin: "unknown"},
		Clocks: []status.Clock{{Name: "system", Device: "virtual", Scale: "UTC", State: "free", Servo: "pi"}},
		Sources: []status.Source{{
			ID: "ntp:ntp1.example.net", Kind: "ntp", Name: "ntp1.example.net",
			State: "unreachable", Reason: "no answer yet", Interval: 16 * time.Second,
		}},
	}
}

// Panicked returns the host of Locked after its grandmaster went a day ahead.
func Panicked() *status.Snapshot {
	s := Locked()
	s.State, s.Changed = status.Panicked, Now.Add(-5*time.Second)
	s.Reason = "ptp:eth0 is 1 day away, beyond the panic threshold of 1000 s"
	s.Offset, s.MaxError = -24*time.Hour, 24*time.Hour+time.Microsecond
	for i := range s.Clocks {
		s.Clocks[i].State, s.Clocks[i].Error = "free", "steering has stopped"
	}
	return s
}
