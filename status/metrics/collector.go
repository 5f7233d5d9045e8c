// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// collector turns the snapshot into metrics at each scrape.
type collector struct {
	snapshot        func() *status.Snapshot
	host            hostFamilies
	clock           clockFamilies
	source          sourceFamilies
	port            portFamilies
	offsets, delays *histograms
}

func newCollector(snapshot func() *status.Snapshot, offsets, delays *histograms) *collector {
	return &collector{
		snapshot: snapshot,
		host:     newHostFamilies(), clock: newClockFamilies(), source: newSourceFamilies(), port: newPortFamilies(),
		offsets: offsets, delays: delays,
	}
}

// Describe sends nothing: which metrics there are depends on the clocks, sources and ports.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the present snapshot.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	if s == nil {
		return
	}
	c.host.collect(s, out)
	clocks := make(map[string]bool, len(s.Clocks))
	for i := range s.Clocks {
		if name := s.Clocks[i].Name; !clocks[name] {
			clocks[name] = true
			c.clock.collect(&s.Clocks[i], out)
		}
	}
	sources := make(map[string]bool, len(s.Sources))
	for i := range s.Sources {
		if id := string(s.Sources[i].ID); !sources[id] {
			sources[id] = true
			c.source.collect(&s.Sources[i], out)
		}
	}
	ports := make(map[portKey]bool, len(s.Ports))
	for i := range s.Ports {
		if key := keyOf(&s.Ports[i]); !ports[key] {
			ports[key] = true
			c.port.collect(&s.Ports[i], out)
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

// seconds is the one place where durations become the floating point that Prometheus takes.
func seconds(d time.Duration) float64 { return float64(d) / 1e9 }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func labelValue(s string) string { return strings.ToValidUTF8(s, "?") }
