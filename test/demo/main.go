// SPDX-License-Identifier: Apache-2.0

// Demo shows lockstep at work on this machine, without privilege and without touching its clock: on loopback it runs a PTP
// grandmaster, an NTP server and a lockstepd with a virtual clock that starts 80 ms and 40 ppm wrong. It takes the
// grandmaster away and gives it back, and shows what lockstepctl watch shows. Make run builds what it needs.
//
// Its exit status is 0 only if everything was as promised.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const leastDuration = 40 * time.Second

func main() {
	opt := options{out: os.Stdout}
	flag.StringVar(&opt.bin, "bin", "bin", "`folder` that has lockstepd and lockstepctl")
	flag.DurationVar(&opt.duration, "duration", time.Minute, "of the demonstration")
	flag.BoolVar(&opt.fast, "fast", false, "go on as soon as what was promised has been seen")
	flag.Parse()
	if flag.NArg() > 0 || opt.duration < leastDuration {
		fmt.Fprintf(os.Stderr, "demo: no arguments, and at least %v of --duration\n", leastDuration)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	_, err := tell(ctx, opt)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
