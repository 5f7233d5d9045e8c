// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// vclockInfo is how many virtual clocks there are and may be.
type vclockInfo struct {
	ident
	Before *int `json:"before,omitempty"`
	Count  int  `json:"count"`
	Max    int  `json:"max"`
}

func (v *vclockInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%v  %d virtual clocks of at most %d", v.ident, v.Count, v.Max)
	if v.Before != nil {
		fmt.Fprintf(w, "; there were %d", *v.Before)
	}
	fmt.Fprintln(w)
}

func (a *app) vclocksCommand() *cobra.Command {
	return &cobra.Command{
		Use: "vclocks DEV [N]", Short: "show or set the number of virtual clocks",
		Example: "  phcctl vclocks eth0 2\n  phcctl vclocks eth0 0",
		Long: "" +
			"Show or set how many virtual clocks run on top of a clock: clocks of their own number that can be steered each on its\n" +
			"own. While there are any, the clock itself runs free, and whoever steers it is refused. Virtual clocks are not removed\n" +
			"while a process has one of them open, but with --force.",
		Args: between(1, 2), ValidArgsFunction: a.complete,
		RunE: func(_ *cobra.Command, args []string) error {
			want := -1
			if len(args) > 1 {
				var err error
				if want, err = parseIndex("number of virtual clocks", args[1]); err != nil {
					return err
				}
			}
			// The number is set by way of sysfs, so the device need not be open for writing.
			return a.with(a.openRead, args[0], func(d *phc.Device) (result, error) { return a.vclocks(d, want) })
		},
	}
}

// vclocks shows the number of virtual clocks, or sets it, if that is not negative.
func (a *app) vclocks(d *phc.Device, want int) (result, error) {
	n, limit, err := d.VirtualClocks()
	if err != nil {
		return nil, err
	}
	v := &vclockInfo{ident: identify(d), Count: n, Max: limit}
	if want < 0 {
		return v, nil
	}
	if err := a.mayChangeVirtual(d, want < n); err != nil {
		return nil, err
	}
	if err := d.SetVirtualClocks(want); err != nil {
		return nil, err
	}
	after, _, err := d.VirtualClocks()
	if err != nil {
		return nil, fmt.Errorf("the number of virtual clocks is set, but: %w", err)
	}
	v.Before, v.Count = &n, after
	return v, nil
}
