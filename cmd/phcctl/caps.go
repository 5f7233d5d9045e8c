// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/lockstep-time/lockstep/phc"
)

// methodInfo is how one method of comparing does.
type methodInfo struct {
	Method string        `json:"method"`
	Works  bool          `json:"works"`
	Window time.Duration `json:"window_ns"`
	Error  string        `json:"error,omitempty"`
}

// String tells it in a few characters.
func (m methodInfo) String() string {
	if m.Window > 0 {
		return fmt.Sprintf("%s %s", m.Method, m.Window)
	}
	return m.Method
}

func methods(d *phc.Device) (infos []methodInfo) {
	for _, p := range d.ProbeMethods() {
		m := methodInfo{Method: p.Method.String(), Works: p.Err == nil, Window: p.Window}
		if p.Err != nil {
			m.Error = reason(p.Err)
		}
		infos = append(infos, m)
	}
	return infos
}

// reason leaves the clock out of an error that is shown beside it.
func reason(err error) string {
	var e *phc.Error
	if errors.As(err, &e) {
		return e.Reason()
	}
	return err.Error()
}

// capsInfo is all that a clock can do.
type capsInfo struct {
	ident
	Resolution time.Duration `json:"resolution_ns"`
	phc.Caps
	// Quantum is the smallest change of its frequency in ppb, 0 if that is not known or too small to matter.
	Quantum float64      `json:"quantum_ppb,omitempty"`
	Methods []methodInfo `json:"methods"`
	// VirtualClocks is nil where there can be none.
	VirtualClocks *vclockInfo `json:"virtual_clocks,omitempty"`
	noVirtual     string
}

func (c *capsInfo) text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(t, "  %s\t%v\n", name, value) }
	fmt.Fprintf(t, "%v\n", c.ident)
	row("resolution", c.Resolution)
	row("maximum frequency adjustment", fmt.Sprintf("±%d ppb", c.MaxAdjust))
	if c.Quantum > 0 {
		row("smallest frequency adjustment", fmt.Sprintf("%.1f ppb", c.Quantum))
	}
	row("programmable alarms", c.Alarms)
	row("programmable pins", c.Pins)
	row("external timestamp channels", c.ExtTS)
	row("periodic outputs", c.PerOut)
	row("pulse per second", yesNo(c.PPS))
	row("cross timestamping", yesNo(c.CrossTimestamp))
	switch {
	case !c.AdjustPhase:
		row("phase adjustment", "no: not supported by "+c.Driver+" (or needs Linux ≥ 5.8)")
	case c.MaxPhase > 0:
		row("phase adjustment", fmt.Sprintf("yes, up to ±%d ns", c.MaxPhase))
	default:
		row("phase adjustment", "yes")
	}
	for _, m := range c.Methods {
		switch {
		case !m.Works:
			row("compare by "+m.Method, "no: "+m.Error)
		case m.Window > 0:
			row("compare by "+m.Method, fmt.Sprintf("window %v", m.Window))
		default:
			row("compare by "+m.Method, "yes")
		}
	}
	if c.VirtualClocks != nil {
		row("virtual clocks", fmt.Sprintf("%d of %d", c.VirtualClocks.Count, c.VirtualClocks.Max))
	} else {
		row("virtual clocks", "no: "+c.noVirtual)
	}
	t.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func capabilities(_ context.Context, _ *app, d *phc.Device, _ []string) (result, error) {
	c := &capsInfo{ident: identify(d), Caps: d.Caps(), Methods: methods(d),
		Quantum: phc.FrequencyQuantum(d.Driver(), d.MaxFrequency())}
	var err error
	if c.Resolution, err = d.Resolution(); err != nil {
		return nil, err
	}
	if n, limit, err := d.VirtualClocks(); err == nil {
		c.VirtualClocks = &vclockInfo{ident: c.ident, Count: n, Max: limit}
	} else {
		c.noVirtual = reason(err)
	}
	return c, nil
}
