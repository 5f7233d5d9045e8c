// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// collectSocket sends what the sockets of a port or a source have counted. Prefix is "port" or "source"; names and values
// are the labels that all its metrics have.
func collectSocket(prefix string, s *status.Socket, names, values []string, out chan<- prometheus.Metric) {
	send := func(f family, n uint64, more ...string) {
		f.send(out, float64(n), append(values[:len(values):len(values)], more...)...)
	}
	labels := func(more ...string) []string { return append(names[:len(names):len(names)], more...) }
	received := counter(prefix+"_received_datagrams_total",
		"Datagrams received, by result: used, unstamped (no timestamp of the clock wanted; over Ethernet also general messages, "+
			"which need none), discarded (too long, or from another interface).",
		labels("result")...)
	send(received, s.Received-min(s.Received, s.Unstamped), "used")
	send(received, s.Unstamped, "unstamped")
	send(received, s.Discarded, "discarded")
	send(counter(prefix+"_sent_datagrams_total", "Datagrams sent.", labels()...), s.Sent)
	errors := counter(prefix+"_socket_errors_total", "Errors of the kernel on sending and receiving.", labels("direction")...)
	send(errors, s.SendErrors, "send")
	send(errors, s.ReceiveErrors, "receive")
	stamps := counter(prefix+"_transmit_timestamps_total",
		"Transmit timestamps, by result: used, lost (they never came), late (given up before), foreign (of nothing waited for).",
		labels("result")...)
	send(stamps, s.Stamped, "used")
	send(stamps, s.StampsLost, "lost")
	send(stamps, s.StampsLate, "late")
	send(stamps, s.StampsForeign, "foreign")
}
