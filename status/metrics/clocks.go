// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

func clockStates() []string { return []string{"free", "acquiring", "locked", "holdover"} }

// clockFamilies are the metrics of each clock.
type clockFamilies struct {
	info, state, failed, frequency, steps, offset, offsetRMS, maxError, updated, window family
}

func newClockFamilies() clockFamilies {
	return clockFamilies{
		info: gauge("clock_info", "Always 1; the labels have the device of the clock and what it follows.",
			"clock", "device", "scale", "follows", "servo"),
		state:  gauge("clock_state", "1 for the present state of the clock, else 0.", "clock", "state"),
		failed: gauge("clock_error", "1 if an error prevents steering of the clock, else 0.", "clock"),
		frequency: gauge("clock_frequency_adjustment_ratio", "Ratio of the frequency of the clock to that of its oscillator.",
			"clock"),
		steps:     counter("clock_steps_total", "Steps of the clock.", "clock"),
		offset:    gauge("clock_offset_seconds", "Last offset of the clock from what it follows.", "clock"),
		offsetRMS: gauge("clock_offset_rms_seconds", "Root mean square of the last 64 offsets.", "clock"),
		maxError:  gauge("clock_maxerror_seconds", "Bound of the clock's error.", "clock"),
		updated:   gauge("clock_update_timestamp_seconds", "Time of the last steering of the clock.", "clock"),
		window:    gauge("clock_crossing_window_seconds", "Window of the last comparison with another clock.", "clock", "method"),
	}
}

func (f *clockFamilies) collect(c *status.Clock, out chan<- prometheus.Metric) {
	f.info.send(out, 1, c.Name, c.Device, c.Scale, c.Follows, c.Servo)
	f.state.sendStates(out, c.State, clockStates(), c.Name)
	f.failed.send(out, flag(c.Error != ""), c.Name)
	f.frequency.send(out, 1+c.Frequency/1e9, c.Name)
	f.steps.send(out, float64(c.Steps), c.Name)
	if !c.Updated.IsZero() {
		f.offset.send(out, seconds(c.Offset), c.Name)
		f.offsetRMS.send(out, seconds(c.OffsetRMS), c.Name)
		f.maxError.send(out, seconds(c.MaxError), c.Name)
		f.updated.sendTime(out, c.Updated, c.Name)
	}
	if c.Method != "" {
		f.window.send(out, seconds(c.Window), c.Name, c.Method)
	}
}
