// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts/nic"
)

// nicDriver is how interfaces are asked and configured.
type nicDriver struct {
	probe func(string) (nic.Capabilities, error)
	read  func(string) (nic.Config, error)
	set   func(string, nic.Config) (nic.Config, error)
}

// nicCommand is about interfaces instead of clocks.
func (a *app) nicCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "nic [INTERFACE...]", Short: "what timestamping network interfaces can do, and how it is configured",
		Example: "  phcctl nic\n  phcctl nic eth0 --json\n  phcctl nic set eth0 --tx on --rx ptp-v2-event",
		Long: "" +
			"Show what each interface, or those named, can timestamp by hardware and by the kernel, its hardware clock, who on the\n" +
			"way to the wire takes the stamps (Linux 6.14), how it is configured now, and how the transmit stamps have fared since\n" +
			"the driver was loaded, where the driver counts that (Linux 6.10).",
		Args: between(0, -1), ValidArgsFunction: a.completeInterface,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := a.nics(args)
			if err != nil {
				return err
			}
			return a.print(r)
		},
	}
	var tx, rx string
	set := &cobra.Command{
		Use: "set INTERFACE", Short: "configure timestamping", Args: between(1, 1),
		ValidArgsFunction: func(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeInterface(c, args, s)
		},
		Long: "" +
			"Configure which packets a NIC stamps, and print what the driver really granted, which may be more than was asked for.\n" +
			"The half that is not given stays as it is; a driver that cannot tell how it is configured needs both. It needs\n" +
			"CAP_NET_ADMIN, and --force where a process has the NIC's clock open for writing.",
		Example: "  phcctl nic set eth0 --tx on --rx all\n  phcctl nic set eth0 --tx off --rx none",
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := a.setNIC(args[0], tx, rx)
			if err != nil {
				return err
			}
			return a.print(r)
		},
	}
	set.Flags().StringVar(&tx, "tx", "", "transmitted packets: off, on, onestep-sync (or onestep), onestep-p2p")
	set.Flags().StringVar(&rx, "rx", "", "received packets: none, all, ptp-v2-event, ptp-v2-l4-event, ntp, ...")
	completeFlag(set, "tx", "off", "on", "onestep", "onestep-sync", "onestep-p2p")
	completeFlag(set, "rx", "none", "all", "ptp-v2-event", "ptp-v2-l4-event", "ptp-v2-l2-event", "ntp")
	show.AddCommand(set)
	return show
}

// nicInfo is what timestamping an interface can do, and what is configured.
type nicInfo struct {
	nic.Capabilities
	TxTypes   []string `json:"tx_types"`
	RxFilters []string `json:"rx_filters"`
	Stamps    []string `json:"stamps"`
	// Configured is nil where the driver has nothing to configure, or cannot tell.
	Configured *nicConfig `json:"configured,omitempty"`
}

// nicConfig is a configuration by names.
type nicConfig struct {
	Tx string `json:"tx"`
	Rx string `json:"rx"`
}

func (c *nicConfig) String() string {
	if c == nil {
		return "not told by the driver"
	}
	return fmt.Sprintf("tx %s, rx %s", c.Tx, c.Rx)
}

func configOf(h nic.Config) *nicConfig {
	return &nicConfig{h.TxType.String(), h.RxFilter.String()}
}

// stampFlags are the SOF_TIMESTAMPING_* that tell where stamps can come from, by ethtool's names.
func stampFlags() []struct {
	flag uint32
	name string
} {
	return []struct {
		flag uint32
		name string
	}{
		{unix.SOF_TIMESTAMPING_TX_HARDWARE, "hardware-transmit"}, {unix.SOF_TIMESTAMPING_TX_SOFTWARE, "software-transmit"},
		{unix.SOF_TIMESTAMPING_RX_HARDWARE, "hardware-receive"}, {unix.SOF_TIMESTAMPING_RX_SOFTWARE, "software-receive"},
		{unix.SOF_TIMESTAMPING_SOFTWARE, "software-system-clock"}, {unix.SOF_TIMESTAMPING_RAW_HARDWARE, "hardware-raw-clock"},
	}
}

func (a *app) describe(c nic.Capabilities) nicInfo {
	n := nicInfo{Capabilities: c, TxTypes: []string{}, RxFilters: []string{}, Stamps: []string{}}
	for _, t := range c.TxTypes.List() {
		n.TxTypes = append(n.TxTypes, t.String())
	}
	for _, f := range c.RxFilters.List() {
		n.RxFilters = append(n.RxFilters, f.String())
	}
	for _, f := range stampFlags() {
		if c.Flags&f.flag != 0 {
			n.Stamps = append(n.Stamps, f.name)
		}
	}
	if h, err := a.nic.read(c.Interface); err == nil {
		n.Configured = configOf(h)
	}
	return n
}

// nicList is several interfaces.
type nicList struct {
	Interfaces []nicInfo `json:"interfaces"`
}

func (l *nicList) text(w io.Writer) {
	if len(l.Interfaces) == 0 {
		fmt.Fprintln(w, "no network interface but loopback")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, n := range l.Interfaces {
		link := linkInfo{n.Interface, n.Up, n.Speed}
		fmt.Fprintf(t, "%v\n", link)
		row := func(name, value string) { fmt.Fprintf(t, "  %s\t%s\n", name, orDash(value)) }
		row("driver", strings.TrimSpace(n.Driver+" "+n.Bus))
		if n.NIC != n.Interface {
			row("on top of", n.NIC)
		}
		clock := "none"
		if n.PHC >= 0 {
			clock = fmt.Sprintf("/dev/ptp%d", n.PHC)
		}
		row("hardware clock", clock)
		row("timestamps", strings.Join(n.Stamps, ", "))
		row("transmit types", strings.Join(n.TxTypes, ", "))
		row("receive filters", strings.Join(n.RxFilters, ", "))
		row("configured", n.Configured.String())
		if n.Provider != nil {
			row("stamped by", n.Provider.String())
		}
		if n.Statistics != nil {
			row("transmit stamps", counts(n.Statistics))
		}
	}
	t.Flush()
}

// counts writes the counters that the driver has.
func counts(s *nic.Statistics) string {
	var parts []string
	for _, c := range []struct {
		value *uint64
		name  string
	}{{s.Packets, "taken"}, {s.Lost, "lost"}, {s.Errors, "failed"}, {s.Unconfirmed, "one-step unconfirmed"}} {
		if c.value != nil {
			parts = append(parts, fmt.Sprintf("%d %s", *c.value, c.name))
		}
	}
	return strings.Join(parts, ", ")
}

// nics describes the named interfaces, or all.
func (a *app) nics(names []string) (result, error) {
	l := &nicList{Interfaces: []nicInfo{}}
	if len(names) == 0 {
		all, err := a.discover()
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			l.Interfaces = append(l.Interfaces, a.describe(c))
		}
		return l, nil
	}
	for _, name := range names {
		c, err := a.nic.probe(name)
		if err != nil {
			return nil, err
		}
		l.Interfaces = append(l.Interfaces, a.describe(c))
	}
	return l, nil
}

// nicChange is what a driver made of a configuration that it was asked for.
type nicChange struct {
	Interface string     `json:"interface"`
	Before    *nicConfig `json:"before,omitempty"`
	Asked     *nicConfig `json:"asked"`
	Granted   *nicConfig `json:"granted"`
}

func (c *nicChange) text(w io.Writer) {
	fmt.Fprintf(w, "%s  was: %v; asked for: %v; granted: %v\n", c.Interface, c.Before, c.Asked, c.Granted)
}

// parseTx and parseRx take the names that are usual elsewhere as well.
func parseTx(s string) (nic.TxType, error) {
	if s == "onestep" {
		s = nic.TxOneStepSync.String()
	}
	return nic.ParseTxType(s)
}

func parseRx(s string) (nic.RxFilter, error) {
	if s == "ntp" {
		s = nic.RxNTPAll.String()
	}
	if rest, ok := strings.CutPrefix(s, "ptp-v"); ok {
		s = "ptpv" + rest
	}
	return nic.ParseRxFilter(s)
}

// setNIC configures an interface; an empty name keeps that half as it is.
func (a *app) setNIC(name, tx, rx string) (result, error) {
	if tx == "" && rx == "" {
		return nil, usagef("nic set %s: give --tx, --rx or both", name)
	}
	asked, err := parseConfig(tx, rx)
	if err != nil {
		return nil, err
	}
	if err := a.mayConfigure(name); err != nil {
		return nil, err
	}
	before, err := a.nic.read(name)
	readable := err == nil
	switch {
	case readable && tx == "":
		asked.TxType = before.TxType
	case readable && rx == "":
		asked.RxFilter = before.RxFilter
	case !readable && !errors.Is(err, clock.ErrNotSupported):
		return nil, err
	case !readable && (tx == "" || rx == ""):
		return nil, a.refused(name, fmt.Errorf("%w; so --tx and --rx must be given both", err))
	}
	granted, err := a.nic.set(name, asked)
	if err != nil {
		return nil, a.refused(name, err)
	}
	c := &nicChange{Interface: name, Asked: configOf(asked)}
	if readable {
		c.Before = configOf(before)
		if granted, err = a.nic.read(name); err != nil {
			return nil, fmt.Errorf("timestamping of %s is set, but: %w", name, err)
		}
	}
	c.Granted = configOf(granted)
	return c, nil
}

// mayConfigure fails if another process may be steering the NIC's clock, which then mostly wants its stamps as they are.
func (a *app) mayConfigure(name string) error {
	c, err := a.nic.probe(name)
	if err != nil {
		return err
	}
	if c.PHC < 0 {
		return nil
	}
	return a.mayTouch(fmt.Sprintf("%s has the clock /dev/ptp%d, which", name, c.PHC), c.PHC)
}

// parseConfig reads the names that are given.
func parseConfig(tx, rx string) (h nic.Config, err error) {
	if tx != "" {
		if h.TxType, err = parseTx(tx); err != nil {
			return h, err
		}
	}
	if rx != "" {
		h.RxFilter, err = parseRx(rx)
	}
	return h, err
}

// refused adds to an error what the driver would take, or the privilege that is missing.
func (a *app) refused(name string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; it needs CAP_NET_ADMIN: be root", err)
	}
	if !errors.Is(err, clock.ErrNotSupported) {
		return err
	}
	c, perr := a.nic.probe(name)
	if perr != nil {
		return err
	}
	n := a.describe(c)
	driver := "the driver"
	if c.Driver != "" {
		driver += " " + c.Driver
	}
	if len(n.TxTypes) == 0 && len(n.RxFilters) == 0 {
		return fmt.Errorf("%w; %s has no hardware timestamps", err, driver)
	}
	return fmt.Errorf("%w; %s has tx %s and rx %s", err, driver, orDash(strings.Join(n.TxTypes, ", ")),
		orDash(strings.Join(n.RxFilters, ", ")))
}
