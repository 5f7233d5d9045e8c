// SPDX-License-Identifier: Apache-2.0

// Lockstepd keeps the clocks of this host in lockstep with the best time that it can reach.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/daemon"
	"github.com/lockstep-time/lockstep/daemon/sdnotify"
	"github.com/lockstep-time/lockstep/hwts"
)

// version is set by the linker.
var version = "devel"

// defaultConfig is read if it is there and no other is named.
const defaultConfig = "/etc/lockstep/lockstepd.toml"

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "lockstepd:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var file, check string
	c := &cobra.Command{
		Use:   "lockstepd",
		Short: "Keep the clocks of this host in lockstep with the best time it can reach",
		Long: "Lockstepd steers the clocks of the NICs and the system clock by PTP, with NTP as the fallback.\n" +
			"Without --config it reads " + defaultConfig + "; without that, it uses every interface that has a\n" +
			"hardware clock as a PTP port, and the distribution's NTP pool.",
		Example: "  lockstepd --check /etc/lockstep/lockstepd.toml\n  lockstepd --config lockstepd.toml",
		Args:    cobra.NoArgs, Version: version, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			for name, value := range map[string]string{"check": check, "config": file} {
				if c.Flags().Changed(name) && value == "" {
					return fmt.Errorf("--%s: a file is to be named", name)
				}
			}
			if check != "" {
				return describe(c.OutOrStdout(), check)
			}
			return run(file)
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	c.Flags().StringVar(&check, "check", "", "check a configuration file, print what would run, and exit")
	return c
}

func describe(w io.Writer, file string) error {
	cfg, err := configs.Load(file)
	if err != nil {
		return err
	}
	return cfg.Describe(w)
}

// load reads the configuration, or makes one of what the host has.
func load(file string) (*configs.Config, error) {
	name := file
	if name == "" {
		name = defaultConfig
	}
	cfg, err := configs.Load(name)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		cfg, err = configs.Default(), nil
	}
	if err != nil || cfg.HasSources() {
		return cfg, err
	}
	nics, err := hwts.Discover()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range nics {
		if n.Hardware() && n.NIC == n.Interface {
			names = append(names, n.Interface)
		}
	}
	cfg.Discover(names)
	return cfg, nil
}

func run(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	reload := hangups(ctx)
	cfg, err := load(file)
	if err != nil {
		return err
	}
	notify, err := sdnotify.Open(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer notify.Close()
	watchdog, err := sdnotify.WatchdogInterval(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		return err
	}
	return daemon.Run(ctx, daemon.Options{Load: func() (*configs.Config, error) { return load(file) },
		Log: logger(cfg.Log), Version: version, Notify: notify, Watchdog: watchdog, Reload: reload})
}

// hangups turns SIGHUP into what the daemon reloads by.
func hangups(ctx context.Context) <-chan struct{} {
	signals, reload := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				select {
				case reload <- struct{}{}:
				default: // one is waiting already
				}
			}
		}
	}()
	return reload
}

func logger(cfg configs.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the configuration allows known levels only
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
