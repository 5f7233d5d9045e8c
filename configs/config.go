// SPDX-License-Identifier: Apache-2.0

// Package configs is the configuration of the daemon: its schema, defaults, checking, and the example files.
//
// The types of this file are the schema. The comment of a field is the text of its key in docs/reference/configuration.md
// and in the commented example. The tags give the name of the key, its default (a key without one is required) and the
// allowed values:
//
//	key      name in the file
//	default  value of a key that is not given
//	range    lowest..highest of a number or a duration, or the allowed words, separated by |
//	is       form of a text, or of each text of a list, see textForms; or pow2 for a duration of 2^n seconds
//	max      largest number of sections of this name in a file, or of texts in a list
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
	// File that keeps the learned frequencies and TAI − UTC across restarts. Empty: none.
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

// Preference is how the selection treats a source.
type Preference struct {
	// Prefer this source to all others, of any kind, as long as it agrees with the majority.
	Prefer bool `key:"prefer" default:"false"`
	// Trust this source: sources that disagree with it are treated as wrong.
	Trust bool `key:"trust" default:"false"`
	// Measure and show this source, but never follow it.
	NoSelect bool `key:"noselect" default:"false"`
}

// Port is one PTP port. It is a client of the grandmaster that the best master clock algorithm chooses on one interface,
// over one transport and in one domain. Each such combination may have one section.
type Port struct {
	// Network interface of the port. A VLAN interface uses the hardware clock of its parent interface.
	Interface string `key:"interface" is:"interface" example:"eth0"`
	// Transport of the messages: UDP over IPv4, UDP over IPv6, or Ethernet (IEEE 1588-2019 annexes C, D, E).
	Transport Transport `key:"transport" default:"udp4" range:"udp4|udp6|l2"`
	// What takes the timestamps. hardware: the NIC. kernel: the kernel. auto: the NIC if it can and lockstepd has
	// CAP_NET_ADMIN, otherwise the kernel.
	Timestamping Timestamping `key:"timestamping" default:"auto" range:"auto|hardware|kernel"`
	// domainNumber of the messages (IEEE 1588-2019 §7.1).
	Domain uint8 `key:"domain" default:"0" range:"0..127"`
	// sdoId of the messages (§7.1). Its upper four bits are majorSdoId, formerly transportSpecific.
	SdoID uint16 `key:"sdo_id" default:"0" range:"0..4095"`
	// Masters that the port may follow, by the sender of their Announce messages: a clock identity ("001122.fffe.334455"), an
	// IP address (udp4, udp6) or a MAC (l2). Empty: any master that the best master clock algorithm chooses.
	Masters []string `key:"masters" default:"" is:"master" max:"32"`
	// The port gives up its master after this many Announce intervals without an Announce message (§7.7.3.1).
	AnnounceReceiptTimeout uint8 `key:"announce_receipt_timeout" default:"3" range:"2..255"`
	// Mean interval between Delay_Req messages until the master states its own (§7.7.2.4).
	DelayRequestInterval time.Duration `key:"delay_request_interval" default:"1s" range:"7.8125ms..32s" is:"pow2"`
	// delayAsymmetry of the path (§7.4.2): half of the difference of the two delays, master to client less client to master.
	DelayAsymmetry time.Duration `key:"delay_asymmetry" default:"0s" range:"-1s..1s"`
	// Largest difference between the delays of the two directions, beyond delay_asymmetry, as a fraction of the least
	// round-trip delay: 0 if both are equal, 1 if nothing is known, for instance if link speeds differ. Used for the reported
	// maximum error with hardware timestamps; source selection ignores it.
	MaxAsymmetry float64 `key:"max_asymmetry" default:"0.25" range:"0..1"`
	// ingressLatency (§7.3.4.2): from the wire to the point where the NIC timestamps received messages.
	IngressLatency time.Duration `key:"ingress_latency" default:"0s" range:"-1ms..1ms"`
	// egressLatency (§7.3.4.2): from the point where the NIC timestamps sent messages to the wire.
	EgressLatency time.Duration `key:"egress_latency" default:"0s" range:"-1ms..1ms"`
	// Number of path delay measurements in the moving median.
	DelayFilter int `key:"delay_filter" default:"10" range:"1..128"`
	// Time to live, or hop limit, of UDP multicast messages.
	TTL uint8 `key:"ttl" default:"1" range:"1..255"`
	// Differentiated services code point of UDP event messages; 46 is expedited forwarding.
	DSCP uint8 `key:"dscp" default:"46" range:"0..63"`
	// UDP port of event messages. Values other than the standard's 319 are for tests.
	EventPort uint16 `key:"event_port" default:"319" range:"1..65535"`
	// UDP port of general messages. Values other than the standard's 320 are for tests.
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
	// Shortest interval between requests. Use less than 16 s only with your own servers.
	MinPoll time.Duration `key:"min_poll" default:"16s" range:"62.5ms..131072s" is:"pow2"`
	// Interval between requests while NTP replaces a lost grandmaster, for servers with a round-trip delay below 1 ms, that is
	// of the same site. Other servers use min_poll meanwhile.
	StandInPoll time.Duration `key:"stand_in_poll" default:"1s" range:"62.5ms..131072s" is:"pow2"`
	// Longest interval between requests. A server can raise it up to fourfold for a while (kiss code RATE).
	MaxPoll time.Duration `key:"max_poll" default:"1024s" range:"62.5ms..131072s" is:"pow2"`
	// Start with a few quick exchanges, so that the first estimate is ready within seconds.
	Burst bool `key:"burst" default:"true"`
	// Network interface for the requests, with hardware timestamps if its NIC can timestamp NTP. Empty: any interface, with
	// kernel timestamps.
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
	// IP address or host name of the server. The name is resolved again when the server stops answering.
	Address string `key:"address" is:"address" example:"192.0.2.1"`
	Association
}

// Pool is a host name with many NTP servers. lockstepd uses some of them, and replaces bad ones.
type Pool struct {
	// Host name of the pool.
	Name string `key:"name" is:"name" example:"pool.ntp.org"`
	// Number of distinct servers to use.
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

// Steering says which clocks are steered, and within which limits.
type Steering struct {
	// Clock to steer as the system clock: CLOCK_REALTIME, a virtual clock inside the daemon for demonstrations, or none.
	SystemClock SystemClock `key:"system_clock" default:"system" range:"system|virtual|none"`
	// Steer the hardware clocks of the NICs in use.
	PHC bool `key:"phc" default:"true"`
	// When a clock may be stepped. first: until it is locked for the first time. never: not at all. always: whenever its offset
	// exceeds step_threshold.
	Step StepPolicy `key:"step" default:"first" range:"first|never|always"`
	// Larger offsets are stepped if step allows it. Smaller offsets are slewed.
	StepThreshold time.Duration `key:"step_threshold" default:"20us" range:"0s..1000s"`
	// If the offset of a clock that was locked exceeds this, all steering stops until `lockstepctl resume` or a restart.
	PanicThreshold time.Duration `key:"panic_threshold" default:"1000s" range:"1us..36500d"`
	// Largest rate at which an offset is slewed, per second: 500us is 500 ppm.
	MaxSlew time.Duration `key:"max_slew" default:"500us" range:"1ns..100ms"`
	// Steering law. adaptive: gains that follow the measured noise. pi: the constants that linuxptp publishes.
	Servo ServoName `key:"servo" default:"adaptive" range:"pi|adaptive"`
	// Number of readings in one comparison of a hardware clock with the system clock.
	Crossings int `key:"crossings" default:"25" range:"1..25"`

	Virtual Virtual `key:"virtual"`
}

// Virtual is the initial error of the virtual clock. It is only allowed with system_clock = "virtual".
type Virtual struct {
	// Offset from the system clock.
	Offset time.Duration `key:"offset" default:"0s" range:"-36500d..36500d"`
	// Frequency error of its oscillator in parts per billion.
	Frequency float64 `key:"frequency" default:"0" range:"-500000..500000"`
}

// Selection says which sources may be followed.
type Selection struct {
	// Number of sources that must agree before any clock is steered.
	MinSources int `key:"min_sources" default:"1" range:"1..64"`
	// Sources with a larger maximum error are not used.
	MaxDistance time.Duration `key:"max_distance" default:"1.5s" range:"1us..1d"`
	// Order of preference of the kinds of source, among sources that agree. Kinds that are not named come last.
	PreferKinds []string `key:"prefer_kinds" default:"ptp,pps,ntp" range:"ptp|pps|ntp"`
}

// Holdover says how long the host counts as synchronised without a source.
type Holdover struct {
	// The host is unsynchronised once its maximum error exceeds this.
	Limit time.Duration `key:"limit" default:"100ms" range:"1us..1000s"`
	// The host is unsynchronised after this time without a source.
	MaxAge time.Duration `key:"max_age" default:"24h" range:"1s..366d"`
	// Least wander assumed of each oscillator, in ppb per square root of a second. The maximum error grows accordingly.
	Wander float64 `key:"wander" default:"1" range:"0..1000000"`
}

// UTC says where TAI − UTC comes from if no source provides it.
type UTC struct {
	// Leap-seconds list of the system, in the format of IERS and NIST. Empty: none.
	LeapSecondsList string `key:"leap_seconds_list" default:"/usr/share/zoneinfo/leap-seconds.list" is:"path"`
	// TAI − UTC in seconds if neither a source nor the list provides it. 0: none.
	Offset int `key:"offset" default:"0" range:"0..255"`
}

// Control is the socket that lockstepctl uses.
type Control struct {
	// Unix socket. Empty: none.
	Socket string `key:"socket" default:"/run/lockstep/lockstep.sock" is:"socket"`
	// Permissions of the socket, in octal.
	Mode fs.FileMode `key:"mode" default:"0660"`
	// Allow requests that change something (`lockstepctl resume`), not only those that read.
	Writable bool `key:"writable" default:"false"`
}

// Metrics is the HTTP server for Prometheus.
type Metrics struct {
	// TCP address to listen on, such as "127.0.0.1:9975" or ":9975". Port 0 is any free port. Empty: no metrics.
	Listen string `key:"listen" default:"" is:"listen"`
}

// Log is the log on standard error.
type Log struct {
	// Lowest severity to log.
	Level string `key:"level" default:"info" range:"debug|info|warn|error"`
	// text: lines for people. json: one object per line.
	Format string `key:"format" default:"text" range:"text|json"`
}
