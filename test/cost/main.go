// SPDX-License-Identifier: Apache-2.0

// Cost measures what lockstepd takes of a machine beside ptp4l and chronyd that do the same work at the same time: processor
// time, context switches and resident memory. Each has a network namespace and a cable of its own to a PTP grandmaster and
// an NTP server. No clock of the machine is touched. It needs root, and chronyd, ptp4l and ip on PATH.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options of a measurement.
type options struct {
	daemons      []daemon
	warmUp, span time.Duration
	rates        []int
}

// daemon is a lockstepd to be measured.
type daemon struct{ name, path string }

func main() {
	o, daemons, rates := flags()
	flag.Parse()
	err := o.parse(*daemons, *rates)
	if err == nil {
		err = run(*o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func flags() (o *options, daemons, rates *string) {
	o = new(options)
	daemons = flag.String("lockstepd", "bin/lockstepd", "programs to measure, separated by commas; each may be NAME=PATH")
	rates = flag.String("rates", "1,8", "Sync messages per second, separated by commas: powers of two")
	flag.DurationVar(&o.warmUp, "warm-up", 30*time.Second, "time before the measurement")
	flag.DurationVar(&o.span, "span", time.Minute, "time of the measurement")
	return o, daemons, rates
}

func (o *options) parse(daemons, rates string) error {
	for _, d := range strings.Split(daemons, ",") {
		name, path, named := strings.Cut(d, "=")
		if !named {
			name, path = "lockstepd", d
		}
		o.daemons = append(o.daemons, daemon{name, path})
	}
	for _, r := range strings.Split(rates, ",") {
		rate, err := strconv.Atoi(r)
		if err != nil || rate <= 0 || rate&(rate-1) != 0 {
			return fmt.Errorf("-rates: %q is no power of two", r)
		}
		o.rates = append(o.rates, rate)
	}
	return nil
}

func run(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("only root may make network namespaces")
	}
	for _, name := range []string{"chronyd", "ptp4l", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: it is part of the comparison; see docs/results/cost.md", err)
		}
	}
	for _, rate := range o.rates {
		if err := measure(o, rate); err != nil {
			return err
		}
	}
	return nil
}

// measure runs all programs side by side and prints what each took.
func measure(o options, rate int) error {
	dir, err := os.MkdirTemp("", "lockstep-cost")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, rate: rate}
	defer b.close()
	if err := b.start(o.daemons); err != nil {
		return err
	}
	time.Sleep(o.warmUp)
	before, err := b.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(o.span)
	after, err := b.usage()
	if err != nil {
		return err
	}
	fmt.Printf("%d Sync/s, %v after %v, kernel timestamps\n\n", rate, o.span, o.warmUp)
	fmt.Println("| program | processor time, s/hour | context switches/s | resident, MiB | at most, MiB |")
	fmt.Println("|---|---|---|---|---|")
	for i, p := range b.measured {
		fmt.Printf("| %s | %s |\n", p.name, after[i].since(before[i]).row(time.Since(began)))
	}
	fmt.Println()
	return b.check()
}

// path returns the name of a file of this measurement.
func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }
