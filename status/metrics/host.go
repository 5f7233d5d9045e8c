// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// hostStates are the states as metrics know them, here and below: a state that is not among them is shown by none being 1.
func hostStates() []string {
	return []string{string(status.Starting), string(status.Acquiring), string(status.Locked), string(status.Holdover),
		string(status.Unsynchronised), string(status.Panicked)}
}

// hostFamilies are the metrics of the host's time as a whole.
type hostFamilies struct {
	build, state, changed, looked, started, steps, overrun, offset, maxError, taiOffset, leap, listExpiry family
}

func newHostFamilies() hostFamilies {
	return hostFamilies{
		build:      gauge("build_info", "Always 1; the labels have the versions.", "version", "goversion"),
		state:      gauge("state", "1 for the present state of the host, else 0.", "state"),
		changed:    gauge("state_change_timestamp_seconds", "Last change of the state or of the selected source."),
		looked:     gauge("snapshot_timestamp_seconds", "Time of the snapshot that these metrics show."),
		started:    gauge("start_timestamp_seconds", "Start of the daemon."),
		steps:      counter("steps_total", "Steps of all clocks."),
		overrun:    counter("overrun_total", "Datagrams and transmit timestamps dropped because the event loop was behind."),
		offset:     gauge("offset_seconds", "Offset of the system clock from the selected source."),
		maxError:   gauge("maxerror_seconds", "Bound of the system clock's error."),
		taiOffset:  gauge("tai_offset_seconds", "TAI less UTC."),
		leap:       gauge("leap_second", "Leap second at the end of the UTC day: 1 inserted, -1 deleted, 0 none."),
		listExpiry: gauge("leap_seconds_list_expiry_timestamp_seconds", "Expiry of the leap-seconds list."),
	}
}

func (f *hostFamilies) collect(s *status.Snapshot, out chan<- prometheus.Metric) {
	f.build.send(out, 1, s.Version, runtime.Version())
	f.state.sendStates(out, string(s.State), hostStates())
	f.changed.sendTime(out, s.Changed)
	f.looked.sendTime(out, s.Time)
	f.started.sendTime(out, s.Started)
	f.steps.send(out, float64(s.Steps))
	f.overrun.send(out, float64(s.Overrun))
	if s.MaxError != 0 {
		f.offset.send(out, seconds(s.Offset))
		f.maxError.send(out, seconds(s.MaxError))
	}
	if s.UTC.Known {
		f.taiOffset.send(out, float64(s.UTC.Seconds))
	}
	f.leap.send(out, float64(s.UTC.Leap))
	f.listExpiry.sendTime(out, s.UTC.ListExpires)
}
