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

func portStates() []string {
	return []string{"initializing", "faulty", "disabled", "listening",
		"pre_master", "master", "passive", "uncalibrated", "slave"}
}

// portFamilies are the metrics of each PTP port.
type portFamilies struct {
	info, state, linkUp, meanPathDelay, received, sent, dropped, conflicts family

	socket socketFamilies
}

func newPortFamilies() portFamilies {
	labels := portKey{"port", "transport", "domain", "sdo_id"}.with
	return portFamilies{
		info: gauge("port_info", "Always 1; the labels have the clock that timestamps the port's messages.",
			labels("clock", "timestamping")...),
		state: gauge("port_state", "1 for the present state of the port (IEEE 1588-2019 table 20), else 0.",
			labels("state")...),
		linkUp:        gauge("port_link_up", "1 if the link is up, else 0.", labels()...),
		meanPathDelay: gauge("port_mean_path_delay_seconds", "Mean path delay to the parent port.", labels()...),
		received:      counter("port_received_messages_total", "PTP messages received, by type.", labels("type")...),
		sent:          counter("port_sent_messages_total", "PTP messages sent, by type.", labels("type")...),
		dropped:       counter("port_dropped_messages_total", "PTP messages dropped, by reason.", labels("reason")...),
		conflicts: counter("port_parent_conflicts_total", "Messages that show a second sender with the parent's identity: "+
			"another address, a second course of sequenceIds, or other content.", labels("kind")...),
		socket: newSocketFamilies("port", labels()...),
	}
}

func (f *portFamilies) collect(p *status.Port, out chan<- prometheus.Metric) {
	key := keyOf(p)
	f.info.send(out, 1, key.with(p.Clock, p.Timestamping)...)
	f.state.sendStates(out, p.State, portStates(), key.with()...)
	f.linkUp.send(out, flag(p.LinkUp), key.with()...)
	f.meanPathDelay.send(out, seconds(p.MeanPathDelay), key.with()...)
	f.socket.collect(&p.Socket, out, key.with()...)
	for _, c := range []struct {
		family family
		values map[string]uint64
	}{{f.received, p.Received}, {f.sent, p.Sent}, {f.dropped, p.Dropped}, {f.conflicts, p.Conflicts}} {
		for name, n := range c.values {
			c.family.send(out, float64(n), key.with(name)...)
		}
	}
}
