// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockstep-time/lockstep/status"
)

// Ports returns a screen with all there is to know of each PTP port.
func Ports(s *status.Snapshot, style Style) string {
	p := &page{style: style}
	if len(s.Ports) == 0 {
		p.line(normal, "No PTP port is configured.")
		return p.String()
	}
	columns := []column{
		{title: "Ports", max: 16}, {title: "transport"}, {title: "domain", right: true}, {title: "state"},
		{title: "path delay", right: true}, {title: "stamps"}, {title: "link"},
	}
	var rows []row
	for i := range s.Ports {
		port := &s.Ports[i]
		delay := "-"
		if port.MeanPathDelay != 0 {
			delay = Offset(port.MeanPathDelay)[1:]
			if port.MeanPathDelay < 0 {
				delay = Offset(port.MeanPathDelay)
			}
		}
		rows = append(rows, row{
			{text: clean(port.Interface)}, {text: clean(port.Transport)}, {text: fmt.Sprint(port.Domain)},
			{clean(port.State), stateInk(port.State)}, {text: delay}, {text: clean(port.Timestamping)}, link(port),
		})
	}
	p.table(columns, rows)
	for i := range s.Ports {
		p.WriteByte('\n')
		p.port(&s.Ports[i])
	}
	return p.String()
}

func link(port *status.Port) cell {
	switch {
	case !port.LinkUp:
		return cell{"down", red}
	case port.Speed == 0:
		return cell{"up", normal}
	case port.Speed%1e9 == 0:
		return cell{fmt.Sprintf("%d Gb/s", port.Speed/1e9), normal}
	}
	return cell{fmt.Sprintf("%d Mb/s", port.Speed/1e6), normal}
}

func (p *page) port(port *status.Port) {
	p.put(bold, clean(port.Interface))
	p.line(normal, fmt.Sprintf(" %s, stamps by %s", dash(clean(port.Identity)), dash(clean(port.Clock))))
	p.fact("error", clean(port.Error))
	if port.SdoID != 0 {
		p.fact("sdo_id", fmt.Sprintf("%#x", port.SdoID))
	}
	p.fact("parent", clean(port.Parent))
	if port.Grandmaster != "" {
		p.fact("grandmaster", fmt.Sprintf("%s, timescale %s", clean(port.Grandmaster), dash(clean(port.Timescale))))
	}
	p.fact("conflict", clean(port.Conflict))
	p.fact("received", clean(counters(port.Received)))
	p.fact("sent", clean(counters(port.Sent)))
	p.fact("dropped", clean(counters(port.Dropped)))
	p.fact("conflicts", clean(counters(port.Conflicts)))
	p.fact("sockets", socketTroubles(&port.Socket))
}

// socketTroubles tells what a socket has counted that should not be, empty if nothing.
func socketTroubles(s *status.Socket) string {
	return counters(map[string]uint64{"discarded": s.Discarded, "receive errors": s.ReceiveErrors, "send errors": s.SendErrors,
		"stamps lost": s.StampsLost, "stamps late": s.StampsLate, "stamps foreign": s.StampsForeign})
}

// counters lists the counters that are not zero, by name.
func counters(m map[string]uint64) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", name, m[name])
	}
	return text
}
