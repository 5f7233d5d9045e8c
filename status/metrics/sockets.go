// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// socketFamilies are the metrics of what the sockets of a port or a source have counted.
type socketFamilies struct {
	received, sent, errors, stamps family
}

// newSocketFamilies returns the metrics of a prefix, "port" or "source"; labels are those that all of its metrics have.
func newSocketFamilies(prefix string, labels ...string) socketFamilies {
	with := func(more string) []string { return append(labels[:len(labels):len(labels)], more) }
	return socketFamilies{
		received: counter(prefix+"_received_datagrams_total",
			"Datagrams received, by result: used, unstamped (without a timestamp of the port's or source's clock; "+
				"over Ethernet also general messages, which need none), discarded (too long, or from another interface).",
			with("result")...),
		sent: counter(prefix+"_sent_datagrams_total", "Datagrams sent.", labels...),
		errors: counter(prefix+"_socket_errors_total", "Errors that the kernel returned on sending and receiving.",
			with("direction")...),
		stamps: counter(prefix+"_transmit_timestamps_total",
			"Transmit timestamps, by result: used, lost (never received), late (received after the daemon gave up), foreign (of no pending message).",
			with("result")...),
	}
}

// collect sends what was counted; values are those of the labels that all metrics have.
func (f *socketFamilies) collect(s *status.Socket, out chan<- prometheus.Metric, values ...string) {
	send := func(f family, n uint64, more ...string) {
		f.send(out, float64(n), append(values[:len(values):len(values)], more...)...)
	}
	send(f.received, s.Received-min(s.Received, s.Unstamped), "used")
	send(f.received, s.Unstamped, "unstamped")
	send(f.received, s.Discarded, "discarded")
	send(f.sent, s.Sent)
	send(f.errors, s.SendErrors, "send")
	send(f.errors, s.ReceiveErrors, "receive")
	send(f.stamps, s.Stamped, "used")
	send(f.stamps, s.StampsLost, "lost")
	send(f.stamps, s.StampsLate, "late")
	send(f.stamps, s.StampsForeign, "foreign")
}
