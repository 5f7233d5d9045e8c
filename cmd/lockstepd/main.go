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
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/daemon"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/internal/sdnotify"
	"github.com/lockstep-time/lockstep/internal/version"
	"github.com/lockstep-time/lockstep/platform"
)

// defaultConfig is read if it is there and no other is named.
const defaultConfig = "/etc/lockstep/lockstepd.toml"

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "lockstepd:", plain.Lines(err.Error()))
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var config string
	var check bool
	c := &cobra.Command{
		Use:   "lockstepd [--config FILE | --check [FILE]]",
		Short: "Keep the clocks of this host in lockstep with the best time it can reach",
		Long: "Lockstepd steers the clocks of the NICs and the system clock by PTP, with NTP as the fallback.\n" +
			"Without --config it reads " + defaultConfig + "; without that, it uses every interface that has a\n" +
			"hardware clock as a PTP port, and the distribution's NTP pool. PTP ports that no file\n" +
			"names are followed only where a majority of the NTP servers confirms them.",
		Example: "  lockstepd --check\n  lockstepd --check /etc/lockstep/lockstepd.toml\n  lockstepd --config lockstepd.toml",
		Version: version.String(), DisableFlagsInUseLine: true, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, args []string) error {
			file, err := configFile(config, c.Flags().Changed("config"), check, args)
			if err != nil {
				return err
			}
			if check {
				return describe(c.OutOrStdout(), file, platform.Local().Interfaces)
			}
			return run(file, platform.Local())
		},
	}
	c.Flags().StringVarP(&config, "config", "c", "", "configuration file")
	c.Flags().BoolVar(&check, "check", false, "check the configuration file, or FILE, print what would run, and exit")
	return c
}

// configFile returns the file that the command line names, by --config or behind --check; empty if it names none.
func configFile(config string, given, check bool, args []string) (string, error) {
	switch {
	case len(args) == 0 && !given:
		return "", nil
	case len(args) > 0 && !check:
		return "", fmt.Errorf("%q: a configuration file is named by --config", args[0])
	case len(args) > 1, len(args) == 1 && given:
		return "", errors.New("--check: more than one file is named")
	case len(args) == 1:
		config = args[0]
	}
	if config == "" {
		return "", errors.New("--check, --config: a file is to be named")
	}
	return config, nil
}

// discover returns all interfaces, as platform.Host.Interfaces does.
type discover func() ([]nic.Capabilities, error)

func describe(w io.Writer, file string, discover discover) error {
	cfg, err := load(file, discover)
	if err != nil {
		return err
	}
	return cfg.Describe(w)
}

// load reads the configuration, or makes one of what the host has.
func load(file string, discover discover) (*configs.Config, error) {
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
	all, err := discover()
	if err != nil {
		return nil, err
	}
	cfg.Discover(nics(all))
	return cfg, nil
}

// nics returns the names of the interfaces that have a hardware clock of their own, and not that of a NIC beneath them.
func nics(all []nic.Capabilities) (names []string) {
	for _, c := range all {
		if c.Hardware() && c.NIC == c.Interface {
			names = append(names, c.Interface)
		}
	}
	return names
}

func run(file string, host platform.Host) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	shareNoWork()
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	reload := hangups(ctx)
	load := func() (*configs.Config, error) { return load(file, host.Interfaces) }
	cfg, err := load()
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
	return daemon.Run(ctx, daemon.Options{Config: cfg, Load: load, Platform: host, Log: logger(os.Stderr, cfg.Log),
		Version: version.String(), Notify: notify, Watchdog: watchdog, Reload: reload})
}

// shareNoWork has one thread at a time run Go code, unless the environment says otherwise. One goroutine decides everything,
// and the others wait for it: a second thread that is woken with each of them finds nothing to do. System calls that take
// long are no part of it.
func shareNoWork() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
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

// logger writes to w. Neither format has anything that a terminal obeys: the handler of texts quotes it.
func logger(w io.Writer, cfg configs.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the configuration allows known levels only
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(plain.Writer(w), opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
