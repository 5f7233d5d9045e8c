// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math/bits"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

func sourceStates() []string {
	return []string{"unreachable", "warming up", "usable", "falseticker", "selected", "combined", "noselect", "unconfirmed"}
}

// sourceFamilies are the metrics of each source.
type sourceFamilies struct {
	info, state, interval, samples, rejected, reach, offset, jitter, delay, maxError, stratum, sampled family
	// Those of the estimate by all recent samples.
	estimate, estimateSD, frequency, frequencySD family

	socket socketFamilies
}

func newSourceFamilies() sourceFamilies {
	return sourceFamilies{
		info: gauge("source_info", "Always 1; the labels have the kind of the source and of its timestamps.", "source", "kind",
			"timestamps"),
		state:    gauge("source_state", "1 for the present state of the source, else 0.", "source", "state"),
		interval: gauge("source_interval_seconds", "Interval between samples of the source.", "source"),
		samples:  counter("source_samples_total", "Samples taken.", "source"),
		rejected: counter("source_rejected_samples_total", "Samples rejected.", "source"),
		reach:    gauge("source_reach_ratio", "Share of the last eight polls that were answered.", "source"),
		offset: gauge("source_offset_seconds", "Offset of the host's time from the source, positive when the host is ahead.",
			"source"),
		jitter:   gauge("source_jitter_seconds", "Standard deviation of the offset.", "source"),
		delay:    gauge("source_delay_seconds", "Round-trip delay to the source.", "source"),
		maxError: gauge("source_maxerror_seconds", "Bound of the error of the source's time as seen by this host.", "source"),
		stratum:  gauge("source_stratum", "Stratum of an NTP server, stepsRemoved + 1 of a grandmaster.", "source"),
		sampled:  gauge("source_sample_timestamp_seconds", "Time of the last sample.", "source"),

		estimate: gauge("source_estimated_offset_seconds",
			"Offset of the host's time from the source, estimated from all recent samples.",
			"source"),
		estimateSD:  gauge("source_estimated_offset_sd_seconds", "Standard deviation of the estimated offset.", "source"),
		frequency:   gauge("source_frequency_ratio", "Ratio of the frequency of the host's time to that of the source.", "source"),
		frequencySD: gauge("source_frequency_sd_ratio", "Standard deviation of the frequency.", "source"),

		socket: newSocketFamilies("source", "source"),
	}
}

func (f *sourceFamilies) collect(s *status.Source, out chan<- prometheus.Metric) {
	id := string(s.ID)
	f.info.send(out, 1, id, s.Kind, s.Timestamps)
	f.state.sendStates(out, s.State, sourceStates(), id)
	f.interval.send(out, seconds(s.Interval), id)
	f.samples.send(out, float64(s.Samples), id)
	f.rejected.send(out, float64(s.Rejected), id)
	if s.Kind == "ntp" {
		f.reach.send(out, float64(bits.OnesCount8(s.Reach))/8, id)
	}
	if s.Socket != (status.Socket{}) {
		f.socket.collect(&s.Socket, out, id)
	}
	if s.Samples == 0 {
		return
	}
	f.offset.send(out, seconds(s.Offset), id)
	f.jitter.send(out, seconds(s.Jitter), id)
	f.delay.send(out, seconds(s.Delay), id)
	f.maxError.send(out, seconds(s.MaxError), id)
	if e := &s.Estimate; e.Samples > 0 {
		f.estimate.send(out, seconds(e.Offset), id)
		f.estimateSD.send(out, seconds(e.OffsetSD), id)
		f.frequency.send(out, 1+e.Frequency/1e9, id)
		f.frequencySD.send(out, e.FrequencySD/1e9, id)
	}
	f.stratum.send(out, float64(s.Stratum), id)
	f.sampled.sendTime(out, s.LastSample, id)
}
