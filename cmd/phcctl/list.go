// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
)

// clockInfo is one clock of the host.
type clockInfo struct {
	phc.Info
	// Names stay the same between boots.
	Names []string   `json:"names"`
	Links []linkInfo `json:"links"`
	// Caps and the rest are nil, and Error says why, if the device could not be opened.
	Caps      *phc.Caps    `json:"caps,omitempty"`
	Methods   []methodInfo `json:"methods,omitempty"`
	Frequency *float64     `json:"frequency_ppb,omitempty"`
	Offset    *offset      `json:"offset,omitempty"`
	Resolve   int64        `json:"resolution_ns,omitempty"`
	// Holders are the processes that have it open; there may be more where they are not Complete.
	Holders  []phc.Holder `json:"holders"`
	Complete bool         `json:"holders_complete"`
	Error    string       `json:"error,omitempty"`
}

// linkInfo is an interface of the clock's NIC.
type linkInfo struct {
	Interface string `json:"interface"`
	Up        bool   `json:"up"`
	Speed     int    `json:"speed_mbit"`
}

func (l linkInfo) String() string {
	switch {
	case !l.Up:
		return l.Interface + " down"
	case l.Speed == 0:
		return l.Interface + " up"
	case l.Speed%1000 == 0:
		return fmt.Sprintf("%s %dG", l.Interface, l.Speed/1000)
	}
	return fmt.Sprintf("%s %dM", l.Interface, l.Speed)
}

// clockList is all clocks of the host; Reason says why there are none.
type clockList struct {
	Clocks []clockInfo `json:"clocks"`
	Reason string      `json:"reason,omitempty"`
}

func (l *clockList) text(w io.Writer) {
	if len(l.Clocks) == 0 {
		fmt.Fprintf(w, "no PTP hardware clock: %s\n", l.Reason)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLOCK\tNAMES\tLINKS\tABILITIES\tCOMPARED BY\tFREQUENCY, OFFSET\tOPEN IN")
	for _, c := range l.Clocks {
		rows(t, c.columns())
	}
	t.Flush()
	for _, c := range l.Clocks {
		if c.Error != "" {
			fmt.Fprintln(w, c.Error)
		}
	}
}

// rows writes columns of several lines each.
func rows(w io.Writer, columns [][]string) {
	height := 1
	for _, c := range columns {
		height = max(height, len(c))
	}
	for i := range height {
		cells := make([]string, len(columns))
		for k, c := range columns {
			if i < len(c) {
				cells[k] = c[i]
			} else if i == 0 {
				cells[k] = "-"
			}
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
}

// columns are what is told of a clock.
func (c *clockInfo) columns() [][]string {
	driver := c.Driver
	if c.ClockName != c.Driver {
		driver += " (" + c.ClockName + ")"
	}
	var links, ways, held []string
	for _, l := range c.Links {
		links = append(links, l.String())
	}
	for _, m := range c.Methods {
		if m.Works {
			ways = append(ways, m.String())
		}
	}
	for _, h := range c.Holders {
		held = append(held, fmt.Sprintf("%s[%d]", h.Command, h.PID))
	}
	if !c.Complete {
		held = append(held, "?")
	}
	return [][]string{{c.Device, driver}, c.Names, links, c.abilities(), ways, c.state(), held}
}

// abilities are the clock's own, and its virtual clocks.
func (c *clockInfo) abilities() (all []string) {
	if c.Caps != nil {
		all = append(all, fmt.Sprintf("±%d ppm, %d ns", c.Caps.MaxAdjust/1000, c.Resolve))
		for _, n := range []struct {
			count int
			what  string
		}{{c.Caps.Pins, "pins"}, {c.Caps.ExtTS, "extts"}, {c.Caps.PerOut, "perout"}} {
			if n.count > 0 {
				all = append(all, fmt.Sprintf("%s: %d", n.what, n.count))
			}
		}
		if c.Caps.PPS {
			all = append(all, "PPS")
		}
	}
	switch {
	case c.Parent >= 0:
		all = append(all, fmt.Sprintf("virtual, of ptp%d", c.Parent))
	case c.MaxVirtualClocks > 0:
		all = append(all, fmt.Sprintf("vclocks: %d of %d", c.VirtualClocks, c.MaxVirtualClocks))
	}
	return all
}

// state is how the clock runs now.
func (c *clockInfo) state() []string {
	frequency, offset := "?", "?"
	if c.Frequency != nil {
		frequency = ppb(*c.Frequency)
	}
	if c.Offset != nil {
		offset = signed(c.Offset.Error)
		if c.Offset.Scale == clock.TAI.String() {
			offset += " TAI"
		}
	}
	return []string{frequency, offset}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// listClocks looks at every clock. That there are none is no error: the reason is told.
func (a *app) listClocks() (*clockList, error) {
	l := &clockList{Clocks: []clockInfo{}}
	infos, err := a.list()
	if errors.Is(err, phc.ErrNotPHC) {
		l.Reason = "the kernel has no support for them (CONFIG_PTP_1588_CLOCK, module ptp), or /sys is not mounted"
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	nics, nicErr := a.discover()
	for _, i := range infos {
		l.Clocks = append(l.Clocks, a.look(i, nics))
	}
	if len(infos) > 0 {
		return l, nil
	}
	l.Reason = "the kernel has PTP support, but no driver has registered a clock"
	if nicErr != nil {
		return l, nil
	}
	var drivers []string
	for _, n := range nics {
		drivers = append(drivers, fmt.Sprintf("%s (%s)", n.Interface, orDash(n.Driver)))
	}
	if len(drivers) > 0 {
		l.Reason += "; interfaces: " + strings.Join(drivers, ", ")
	}
	return l, nil
}

// look opens one clock and asks it what it is.
func (a *app) look(i phc.Info, nics []nic.Capabilities) clockInfo {
	c := clockInfo{Info: i, Names: []string{}, Links: []linkInfo{}, Holders: []phc.Holder{}}
	if names := i.StableNames(); names != nil && i.Parent < 0 {
		c.Names = names
	}
	if c.Interfaces == nil {
		c.Interfaces = []string{} // for JSON
	}
	for _, n := range nics {
		if n.PHC == i.Index {
			c.Links = append(c.Links, linkInfo{n.Interface, n.Up, n.Speed})
		}
	}
	if h, complete, err := a.holders(i.Index); err == nil {
		c.Holders, c.Complete = append(c.Holders, h...), complete
	}
	d, err := a.openRead(i.Device)
	if err != nil {
		c.Error = err.Error()
		return c
	}
	defer d.Close()
	caps := d.Caps()
	c.Caps, c.Methods = &caps, methods(d)
	if r, err := d.Resolution(); err == nil {
		c.Resolve = int64(r)
	}
	if f, err := d.Frequency(); err == nil {
		c.Frequency = &f
	}
	if o, err := a.measure(d); err == nil {
		c.Offset = &o
	} else {
		c.Error = err.Error()
	}
	return c
}
