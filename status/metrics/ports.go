// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-time/lockstep/status"
)

// portKey is the labels that every metric of a port has.
type portKey struct{ port, transport, domain, sdo string }

func keyOf(p *status.Port) portKey {
	return portKey{p.Interface, p.Transport, strconv.Itoa(int(p.Domain)), strconv.Itoa(int(p.SdoID))}
}

func (k portKey) with(more ...string) []string {
	return append([]string{k.port, k.transport, k.domain, k.sdo}, more...)
}

func portLabels(more ...string) []string {
	return portKey{"port", "transport", "domain", "sdo_id"}.with(more...)
}

func collectPort(p *status.Port, out chan<- prometheus.Metric) {
	key := keyOf(p)
	gauge("port_info", "Always 1; the labels have the clock that timestamps the port's messages.",
		portLabels("clock", "timestamping")...).
		send(out, 1, key.with(p.Clock, p.Timestamping)...)
	gauge("port_state", "1 for the present state of the port (IEEE 1588-2019 table 20), else 0.", portLabels("state")...).
		sendStates(out, p.State, portStates(), key.with()...)
	gauge("port_link_up", "1 if the link is up, else 0.", portLabels()...).send(out, flag(p.LinkUp), key.with()...)
	gauge("port_mean_path_delay_seconds", "Mean path delay to the parent port.", portLabels()...).
		send(out, seconds(p.MeanPathDelay), key.with()...)
	collectSocket("port", &p.Socket, portLabels(), key.with(), out)
	for _, c := range []struct {
		family family
		values map[string]uint64
	}{
		{counter("port_received_messages_total", "PTP messages received, by type.", portLabels("type")...), p.Received},
		{counter("port_sent_messages_total", "PTP messages sent, by type.", portLabels("type")...), p.Sent},
		{counter("port_dropped_messages_total", "PTP messages dropped, by reason.", portLabels("reason")...), p.Dropped},
		{counter("port_parent_conflicts_total", "Messages that show a second sender with the parent's identity: "+
			"another address, a second course of sequenceIds, or other content.", portLabels("kind")...), p.Conflicts},
	} {
		for name, n := range c.values {
			c.family.send(out, float64(n), key.with(name)...)
		}
	}
}
