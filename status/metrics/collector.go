// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math/bits"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// collector turns the snapshot into metrics at each scrape.
type collector struct {
	snapshot        func() *status.Snapshot
	offsets, delays *histograms
}

// Describe sends nothing: which metrics there are depends on the clocks, sources and ports.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the present snapshot.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	if s == nil {
		return
	}
	collectHost(s, out)
	clocks := make(map[string]bool, len(s.Clocks))
	for i := range s.Clocks {
		if name := s.Clocks[i].Name; !clocks[name] {
			clocks[name] = true
			collectClock(&s.Clocks[i], out)
		}
	}
	sources := make(map[string]bool, len(s.Sources))
	for i := range s.Sources {
		if id := string(s.Sources[i].ID); !sources[id] {
			sources[id] = true
			collectSource(&s.Sources[i], out)
		}
	}
	ports := make(map[portKey]bool, len(s.Ports))
	for i := range s.Ports {
		if key := keyOf(&s.Ports[i]); !ports[key] {
			ports[key] = true
			collectPort(&s.Ports[i], out)
		}
	}
	c.offsets.collect(clocks, out)
	c.delays.collect(sources, out)
}

// family is the metrics of one name.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("lockstep_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("lockstep_"+name, help, labels, nil), prometheus.CounterValue}
}

func (f family) send(out chan<- prometheus.Metric, value float64, labels ...string) {
	for i := range labels {
		labels[i] = labelValue(labels[i])
	}
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

func (f family) sendTime(out chan<- prometheus.Metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		f.send(out, float64(t.UnixNano())/1e9, labels...)
	}
}

// sendStates sends 1 for the present state and 0 for the other ones.
func (f family) sendStates(out chan<- prometheus.Metric, present string, states []string, labels ...string) {
	for _, state := range states {
		f.send(out, flag(state == present), append(labels[:len(labels):len(labels)], state)...)
	}
}

// The states as metrics know them: a state that is not among them is shown by none being 1.
func hostStates() []string {
	return []string{string(status.Starting), string(status.Acquiring), string(status.Locked), string(status.Holdover),
		string(status.Unsynchronised), string(status.Panicked)}
}

func clockStates() []string { return []string{"free", "acquiring", "locked", "holdover"} }

func sourceStates() []string {
	return []string{"unreachable", "warming up", "usable", "falseticker", "selected", "combined", "noselect", "unconfirmed"}
}

func portStates() []string {
	return []string{"initializing", "faulty", "disabled", "listening",
		"pre_master", "master", "passive", "uncalibrated", "slave"}
}

func collectHost(s *status.Snapshot, out chan<- prometheus.Metric) {
	gauge("build_info", "Always 1; the labels tell the versions.", "version", "goversion").
		send(out, 1, s.Version, runtime.Version())
	gauge("state", "1 for the state that the host's time is in, else 0.", "state").
		sendStates(out, string(s.State), hostStates())
	gauge("state_change_timestamp_seconds", "When state or selected source last changed.").sendTime(out, s.Changed)
	gauge("snapshot_timestamp_seconds", "When the daemon last looked at itself.").sendTime(out, s.Time)
	gauge("start_timestamp_seconds", "When the daemon started.").sendTime(out, s.Started)
	counter("steps_total", "Steps of all clocks.").send(out, float64(s.Steps))
	counter("overrun_total", "Datagrams and transmit timestamps that came faster than the daemon could take them.").
		send(out, float64(s.Overrun))
	if s.MaxError != 0 {
		gauge("offset_seconds", "Offset of the system clock to the selected source.").send(out, seconds(s.Offset))
		gauge("maxerror_seconds", "Bound of the system clock's error.").send(out, seconds(s.MaxError))
	}
	if s.UTC.Known {
		gauge("tai_offset_seconds", "TAI less UTC.").send(out, float64(s.UTC.Seconds))
	}
	gauge("leap_second", "Leap second at the end of the UTC day: 1 inserted, -1 deleted, 0 none.").send(out,
		float64(s.UTC.Leap))
	gauge("leap_seconds_list_expiry_timestamp_seconds", "When the list of leap seconds expires.").sendTime(out,
		s.UTC.ListExpires)
}

func collectClock(c *status.Clock, out chan<- prometheus.Metric) {
	gauge("clock_info", "Always 1; the labels tell what the clock is and what it follows.",
		"clock", "device", "scale", "follows", "servo").
		send(out, 1, c.Name, c.Device, c.Scale, c.Follows, c.Servo)
	gauge("clock_state", "1 for the state that the clock's servo is in, else 0.", "clock", "state").
		sendStates(out, c.State, clockStates(), c.Name)
	gauge("clock_error", "1 if an error keeps the clock from being steered, else 0.", "clock").send(out, flag(c.Error != ""),
		c.Name)
	gauge("clock_frequency_adjustment_ratio", "Frequency of the clock to that of its oscillator.", "clock").
		send(out, 1+c.Frequency/1e9, c.Name)
	counter("clock_steps_total", "Steps of the clock.", "clock").send(out, float64(c.Steps), c.Name)
	if !c.Updated.IsZero() {
		gauge("clock_offset_seconds", "Last offset of the clock to what it follows.", "clock").send(out, seconds(c.Offset), c.Name)
		gauge("clock_offset_rms_seconds", "Root mean square of the last 64 offsets.", "clock").send(out, seconds(c.OffsetRMS),
			c.Name)
		gauge("clock_maxerror_seconds", "Bound of the clock's error.", "clock").send(out, seconds(c.MaxError), c.Name)
		gauge("clock_update_timestamp_seconds", "When the clock was last steered.", "clock").sendTime(out, c.Updated, c.Name)
	}
	if c.Method != "" {
		gauge("clock_crossing_window_seconds", "Window of the last comparison with another clock.", "clock", "method").
			send(out, seconds(c.Window), c.Name, c.Method)
	}
}

func collectSource(s *status.Source, out chan<- prometheus.Metric) {
	id := string(s.ID)
	gauge("source_info", "Always 1; the labels tell what the source is.", "source", "kind", "timestamps").
		send(out, 1, id, s.Kind, s.Timestamps)
	gauge("source_state", "1 for the state that the source is in, else 0.", "source", "state").
		sendStates(out, s.State, sourceStates(), id)
	gauge("source_interval_seconds", "Interval of its samples.", "source").send(out, seconds(s.Interval), id)
	counter("source_samples_total", "Samples taken.", "source").send(out, float64(s.Samples), id)
	counter("source_rejected_samples_total", "Samples rejected.", "source").send(out, float64(s.Rejected), id)
	if s.Kind == "ntp" {
		gauge("source_reach_ratio", "Share of the last eight polls that were answered.", "source").
			send(out, float64(bits.OnesCount8(s.Reach))/8, id)
	}
	if s.Socket != (status.Socket{}) {
		collectSocket("source", &s.Socket, []string{"source"}, []string{id}, out)
	}
	if s.Samples == 0 {
		return
	}
	gauge("source_offset_seconds", "Offset of the host's time to the source, positive when the host is ahead.", "source").
		send(out, seconds(s.Offset), id)
	gauge("source_jitter_seconds", "Standard deviation of the offset.", "source").send(out, seconds(s.Jitter), id)
	gauge("source_delay_seconds", "Delay to the source, there and back.", "source").send(out, seconds(s.Delay), id)
	gauge("source_maxerror_seconds", "Bound of the error of the source's time as seen from here.", "source").
		send(out, seconds(s.MaxError), id)
	if e := &s.Estimate; e.Samples > 0 {
		gauge("source_estimated_offset_seconds", "Offset of the host's time to the source by all recent samples.", "source").
			send(out, seconds(e.Offset), id)
		gauge("source_estimated_offset_sd_seconds", "Standard deviation of the estimated offset.", "source").
			send(out, seconds(e.OffsetSD), id)
		gauge("source_frequency_ratio", "Frequency of the host's time to that of the source.", "source").
			send(out, 1+e.Frequency/1e9, id)
		gauge("source_frequency_sd_ratio", "Standard deviation of the frequency.", "source").send(out, e.FrequencySD/1e9, id)
	}
	gauge("source_stratum", "Distance to a primary reference.", "source").send(out, float64(s.Stratum), id)
	gauge("source_sample_timestamp_seconds", "When the last sample was taken.", "source").sendTime(out, s.LastSample, id)
}

// seconds is the one place where durations become the floating point that Prometheus takes.
func seconds(d time.Duration) float64 { return float64(d) / 1e9 }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func labelValue(s string) string { return strings.ToValidUTF8(s, "?") }
