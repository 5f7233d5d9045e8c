// SPDX-License-Identifier: Apache-2.0

// Package configs is the configuration of the daemon: its schema, defaults, checking, and the example files.
//
// The types of this file are the schema. The comment of a field is what docs/configuration.md and the commented example
// say of its key; the tags give its name, its default (a key without one is required) and what it may be:
//
//	key      name in the file
//	default  value of a key that is not given
//	range    lowest..highest of a number or a duration, or the words that are allowed, separated by |
//	is       what a text, or each of a list, has to be, see textForms; or pow2 for a duration of 2^n seconds
//	max      how many sections of this name a file may have, or texts a list
//	example  value of a required key in the commented example
package configs

import (
	"io/fs"
	"time"

	"github.com/lockstep-time/lockstep/ptp"
)

//go:generate go test -run TestGenerated -update

// Config is the configuration of one daemon. It is not changed once loaded, and so may be read by any goroutine.
type Config struct {
	// File that keeps frequencies and the UTC offset over a restart. Empty for none.
	StateFile string `key:"state_file" default:"/var/lib/lockstep/state.json" is:"path"`

	PTP       PTP       `key:"ptp"`
	NTP       NTP       `key:"ntp"`
	Steering  Steering  `key:"steering"`
	Selection Selection `key:"selection"`
	Holdover  Holdover  `key:"holdover"`
	UTC       UTC       `key:"utc"`
	Control   Control   `key:"control"`
	Metrics   Metrics   `key:"metrics"`
	Log       Log       `key:"log"`

	// Discovered: the file names no source, and those here are what Discover was told that the host has.
	Discovered bool
}

// PTP is what the host receives over PTP (IEEE 1588-2019).
type PTP struct {
	Ports []Port `key:"port" max:"64"`
}

// Transport is how PTP messages are carried (IEEE 1588-2019 annexes C, D and E).
type Transport string

// The transports.
const (
	UDP4 Transport = "udp4"
	UDP6 Transport = "udp6"
	L2   Transport = "l2"
)

// Timestamping is which clock takes the timestamps of a port.
type Timestamping string

// The kinds of timestamping.
const (
	AutoTimestamping     Timestamping = "auto"
	HardwareTimestamping Timestamping = "hardware"
	KernelTimestamping   Timestamping = "kernel"
)

// Preference is how the selection treats a source before others that tell the truth as well.
type Preference struct {
	// Follow this source before others of any kind, as long as it agrees with the majority.
	Prefer bool `key:"prefer" default:"false"`
	// Believe this source: where it disagrees with others, they are wrong.
	Trust bool `key:"trust" default:"false"`
	// Watch this source and show it, but never follow it.
	NoSelect bool `key:"noselect" default:"false"`
}

// Port is one PTP port, a client of the grandmaster that the best master clock algorithm chooses on one interface, over
// one transport, in one domain. There may be one such section for each.
type Port struct {
	// Network interface of the port. A VLAN interface uses the hardware clock of the interface below it.
	Interface string `key:"interface" is:"interface" example:"eth0"`
	// Carrier of the messages: UDP over IPv4, UDP over IPv6, or Ethernet (IEEE 1588-2019 annexes C, D, E).
	Transport Transport `key:"transport" default:"udp4" range:"udp4|udp6|l2"`
	// Who takes the timestamps: the NIC, the kernel, or the NIC where it can and the daemon may have it do so (CAP_NET_ADMIN), and else the kernel.
	Timestamping Timestamping `key:"timestamping" default:"auto" range:"auto|hardware|kernel"`
	// domainNumber of the messages (IEEE 1588-2019 §7.1).
	Domain uint8 `key:"domain" default:"0" range:"0..127"`
	// sdoId of the messages (§7.1); its upper four bits are majorSdoId, which older texts call transportSpecific.
	SdoID uint16 `key:"sdo_id" default:"0" range:"0..4095"`
	// Masters that the port may follow, by what sends their Announce messages: a clock identity ("001122.fffe.334455"), an IP address (udp4, udp6) or a MAC (l2). Empty for any that the best master clock algorithm prefers.
	Masters []string `key:"masters" default:"" is:"master" max:"32"`
	// Announce intervals without an Announce message after which the master is given up (§7.7.3.1).
	AnnounceReceiptTimeout uint8 `key:"announce_receipt_timeout" default:"3" range:"2..255"`
	// Mean interval between Delay_Req messages until the master grants another one (§7.7.2.4).
	DelayRequestInterval time.Duration `key:"delay_request_interval" default:"1s" range:"7.8125ms..32s" is:"pow2"`
	// delayAsymmetry of the path (§7.4.2): half of what the way from master to client takes longer than the way back.
	DelayAsymmetry time.Duration `key:"delay_asymmetry" default:"0s" range:"-1s..1s"`
	// Largest part of the least delay there and back by which the two ways may differ, beyond delay_asymmetry: 0 if they are alike, 1 if nothing is known of that, as where the speeds of links differ. The stated maximum error relies on it, where the NIC takes the timestamps; what sources are believed does not.
	MaxAsymmetry float64 `key:"max_asymmetry" default:"0.25" range:"0..1"`
	// ingressLatency (§7.3.4.2): from the wire to the point where the NIC stamps what it receives.
	IngressLatency time.Duration `key:"ingress_latency" default:"0s" range:"-1ms..1ms"`
	// egressLatency (§7.3.4.2): from the point where the NIC stamps what it sends to the wire.
	EgressLatency time.Duration `key:"egress_latency" default:"0s" range:"-1ms..1ms"`
	// Measurements of the path delay that its moving median is taken of.
	DelayFilter int `key:"delay_filter" default:"10" range:"1..128"`
	// Time to live, or hop limit, of UDP multicast messages.
	TTL uint8 `key:"ttl" default:"1" range:"1..255"`
	// Differentiated services code point of UDP event messages; 46 is expedited forwarding.
	DSCP uint8 `key:"dscp" default:"46" range:"0..63"`
	// UDP port of event messages. Other values than the standard's 319 are for tests.
	EventPort uint16 `key:"event_port" default:"319" range:"1..65535"`
	// UDP port of general messages. Other values than the standard's 320 are for tests.
	GeneralPort uint16 `key:"general_port" default:"320" range:"1..65535"`
	Preference
}

// LogDelayRequestInterval returns the interval as the power of two that PTP messages carry, -7 to 5.
func (p Port) LogDelayRequestInterval() int8 { return Log2(p.DelayRequestInterval) }

// MasterIDs returns Masters as PTP ports have them. What is none, which checking does not let pass, is left out.
func (p Port) MasterIDs() []ptp.MasterID {
	var ids []ptp.MasterID
	for _, text := range p.Masters {
		if id, err := ptp.ParseMasterID(text); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// NTP is what the host asks over NTP (RFC 5905).
type NTP struct {
	Servers []Server `key:"server" max:"64"`
	Pools   []Pool   `key:"pool" max:"16"`
}

// Association is how a server, or each server of a pool, is asked.
type Association struct {
	// UDP port of the server.
	Port uint16 `key:"port" default:"123" range:"1..65535"`
	// Shortest interval between requests. Only ask servers of your own more often than every 16 s.
	MinPoll time.Duration `key:"min_poll" default:"16s" range:"62.5ms..131072s" is:"pow2"`
	// Interval between requests to a server that stands in for PTP, if it answers within a millisecond: one of the same site. Other servers are asked at min_poll then.
	StandInPoll time.Duration `key:"stand_in_poll" default:"1s" range:"62.5ms..131072s" is:"pow2"`
	// Longest interval between requests. A server can ask for up to four times that (the kiss code RATE), for a while.
	MaxPoll time.Duration `key:"max_poll" default:"1024s" range:"62.5ms..131072s" is:"pow2"`
	// Begin with a few quick exchanges, so that the first estimate takes seconds.
	Burst bool `key:"burst" default:"true"`
	// Network interface to send through, with hardware timestamps where its NIC can stamp NTP. Empty for any, with kernel timestamps.
	Interface string `key:"interface" default:"" is:"interface"`
	Preference
}

// LogMinPoll returns MinPoll as a power of two, -4 to 17, as NTP counts it (RFC 5905 §7.3).
func (a Association) LogMinPoll() int8 { return Log2(a.MinPoll) }

// LogStandInPoll returns StandInPoll as a power of two, -4 to 17, and MinPoll if that is shorter.
func (a Association) LogStandInPoll() int8 { return min(Log2(a.StandInPoll), Log2(a.MinPoll)) }

// LogMaxPoll returns MaxPoll as a power of two, -4 to 17, as NTP counts it (RFC 5905 §7.3).
func (a Association) LogMaxPoll() int8 { return Log2(a.MaxPoll) }

// Server is one NTP server.
type Server struct {
	// IP address or host name of the server. A name is looked up again when the server no longer answers.
	Address string `key:"address" is:"address" example:"192.0.2.1"`
	Association
}

// Pool is a name that stands for many NTP servers. Some of them are asked, and bad ones are replaced.
type Pool struct {
	// Host name of the pool.
	Name string `key:"name" is:"name" example:"pool.ntp.org"`
	// Distinct servers of the pool to keep.
	Count int `key:"count" default:"4" range:"1..16"`
	Association
}

// SystemClock is what the daemon takes for the system clock.
type SystemClock string

// The system clocks.
const (
	RealSystemClock    SystemClock = "system"
	VirtualSystemClock SystemClock = "virtual"
	NoSystemClock      SystemClock = "none"
)

// StepPolicy says when a clock may be stepped.
type StepPolicy string

// The step policies.
const (
	StepFirst  StepPolicy = "first"
	StepNever  StepPolicy = "never"
	StepAlways StepPolicy = "always"
)

// ServoName names a steering law.
type ServoName string

// The servos.
const (
	ServoPI       ServoName = "pi"
	ServoAdaptive ServoName = "adaptive"
)

// Steering says which clocks are steered, and within which bounds.
type Steering struct {
	// Clock to steer as the system clock: CLOCK_REALTIME, a virtual clock inside the daemon for demonstrations, or none.
	SystemClock SystemClock `key:"system_clock" default:"system" range:"system|virtual|none"`
	// Steer the hardware clocks of the NICs in use.
	PHC bool `key:"phc" default:"true"`
	// When a clock may be stepped: until it is locked for the first time, never, or whenever it is off by more than step_threshold.
	Step StepPolicy `key:"step" default:"first" range:"first|never|always"`
	// Offsets above it are stepped where step allows it; smaller ones are slewed.
	StepThreshold time.Duration `key:"step_threshold" default:"20us" range:"0s..1000s"`
	// Once locked, an offset above it stops all steering until somebody has looked.
	PanicThreshold time.Duration `key:"panic_threshold" default:"1000s" range:"1us..36500d"`
	// Fastest rate at which an offset is slewed away, per second: 500us is 500 ppm.
	MaxSlew time.Duration `key:"max_slew" default:"500us" range:"1ns..100ms"`
	// Steering law: pi has the constants that linuxptp publishes, adaptive has gains that follow the measured noise.
	Servo ServoName `key:"servo" default:"adaptive" range:"pi|adaptive"`
	// Readings that a comparison of a hardware clock with the system clock consists of.
	Crossings int `key:"crossings" default:"25" range:"1..25"`

	Virtual Virtual `key:"virtual"`
}

// Virtual is the error that the virtual clock starts with. It is only allowed with system_clock = "virtual".
type Virtual struct {
	// Offset from the system clock.
	Offset time.Duration `key:"offset" default:"0s" range:"-36500d..36500d"`
	// Frequency error of its oscillator in parts per billion.
	Frequency float64 `key:"frequency" default:"0" range:"-500000..500000"`
}

// Selection says which sources may lead.
type Selection struct {
	// Sources that have to agree before any clock is steered.
	MinSources int `key:"min_sources" default:"1" range:"1..64"`
	// Sources whose time may be wrong by more than this are not used.
	MaxDistance time.Duration `key:"max_distance" default:"1.5s" range:"1us..1d"`
	// Kinds of source in the order in which they lead, among those that tell the truth. Kinds that are not named come last.
	PreferKinds []string `key:"prefer_kinds" default:"ptp,pps,ntp" range:"ptp|pps|ntp"`
}

// Holdover says how long the clocks count as synchronised without a source.
type Holdover struct {
	// Unsynchronised as soon as the maximum error passes it.
	Limit time.Duration `key:"limit" default:"100ms" range:"1us..1000s"`
	// Unsynchronised after this long without a source.
	MaxAge time.Duration `key:"max_age" default:"24h" range:"1s..366d"`
	// Wander assumed of every oscillator at least, in ppb per square root of a second. The maximum error grows by it.
	Wander float64 `key:"wander" default:"1" range:"0..1000000"`
}

// UTC says where TAI − UTC comes from when no source tells it.
type UTC struct {
	// Leap-seconds list of the system, in the format of IERS and NIST. Empty for none.
	LeapSecondsList string `key:"leap_seconds_list" default:"/usr/share/zoneinfo/leap-seconds.list" is:"path"`
	// TAI − UTC in seconds to assume when neither a source nor the list tells it. 0 for none.
	Offset int `key:"offset" default:"0" range:"0..255"`
}

// Control is the socket that lockstepctl talks to.
type Control struct {
	// Unix socket. Empty for none.
	Socket string `key:"socket" default:"/run/lockstep/lockstep.sock" is:"socket"`
	// Permissions of the socket, in octal.
	Mode fs.FileMode `key:"mode" default:"0660"`
	// Answer requests that change something, such as to steer again after a panic, and not only those that read.
	Writable bool `key:"writable" default:"false"`
}

// Metrics is where Prometheus finds the metrics.
type Metrics struct {
	// TCP address to listen on, as in "127.0.0.1:9975" or ":9975"; port 0 is any free one. Empty for no metrics.
	Listen string `key:"listen" default:"" is:"listen"`
}

// Log is what the daemon writes to its standard error.
type Log struct {
	// Least severe messages to write.
	Level string `key:"level" default:"info" range:"debug|info|warn|error"`
	// Lines for people, or objects for programs.
	Format string `key:"format" default:"text" range:"text|json"`
}
