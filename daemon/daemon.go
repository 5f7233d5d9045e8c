// SPDX-License-Identifier: Apache-2.0

// Package daemon makes running parts of a configuration: sockets and clocks at the edges, and one goroutine in which the
// engine decides.
package daemon

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/sdnotify"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/metrics"
)

// Options of a Daemon.
type Options struct {
	// Config is the configuration to start with.
	Config *configs.Config
	// Load returns the configuration as it is by now, for a reload. It may take its time.
	Load func() (*configs.Config, error)
	// Platform is the host that it runs on.
	Platform platform.Host
	// Log takes the log.
	Log *slog.Logger
	// Version of the program.
	Version string
	// Notify tells the service manager; nil if there is none. Watchdog is how often it wants to hear, 0 for never.
	Notify   *sdnotify.Notifier
	Watchdog time.Duration
	// Reload has the configuration read again whenever something comes; nil if it is never.
	Reload <-chan struct{}
}

// Daemon is a running lockstep. All but the snapshot belongs to the goroutine of Run.
type Daemon struct {
	opt          Options
	log          *slog.Logger
	cfg          *configs.Config
	ctx          context.Context // done when the daemon is to end; stop calls cancel
	cancel       context.CancelFunc
	loop         *loop
	clocks       *clocks
	host         *host.Host
	ports        []*portSockets
	associations []*association
	platform     platform.Host
	hardware     *hardware
	interfaces   interfaces
	underWay     map[*request]bool
	untidy       bool               // clocks or NICs may not be needed any more
	uses         map[string]nic.Use // of the NICs, as they were last told; nil if that is not known
	leaps        *clock.LeapTable   // nil if there is none
	serials      uint32
	generation   uint32 // of the engine: names resolved for an earlier one are of no use
	localMAC     hwts.MAC
	workers      sync.WaitGroup
	quiet        map[string]*repetition
	notices      chan func() error // to the service manager
	control      net.Listener      // nil if there is none
	metrics      net.Listener      // nil if there is none
	snapshot     atomic.Pointer[status.Snapshot]
	looking      sync.Mutex // guards looked
	looked       clock.Mono // when a snapshot was last asked for, 0 if never
	exporter     *metrics.Exporter
	names        map[clock.ID]string // of clocks in the histograms
	started      clock.Mono
	nextChores   clock.Mono
	nextWatchdog clock.Mono   // clock.Never if there is none
	state        status.State // as of the last chores
	toldState    toldState
	ready        bool
	saved        clock.Mono
	saving       atomic.Bool // at this moment; a disk may be slow, or full
	resteer      bool        // the clocks are to be steered otherwise, as soon as that does not disturb them
	told         clock.Mono  // that the network has changed, 0 if never
	untold       bool        // it has since
	inspected    clock.Mono  // when the NICs were last looked at
	arrived      bool        // an interface that has no port, since the host was last searched for such
}

// Run runs until ctx is done. Then it leaves the clocks at their learned frequencies and puts back how the NICs were
// configured. It fails only if it cannot start, or if the kernel has no timer for it.
func Run(ctx context.Context, opt Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := newDaemon(ctx, cancel, opt)
	if err := d.prepare(); err != nil {
		return err
	}
	return d.run()
}

func newDaemon(ctx context.Context, cancel context.CancelFunc, opt Options) *Daemon {
	return &Daemon{opt: opt, log: opt.Log, cfg: opt.Config, ctx: ctx, cancel: cancel, loop: newLoop(), platform: opt.Platform,
		hardware: newHardware(opt.Platform), underWay: map[*request]bool{}, quiet: map[string]*repetition{},
		notices: make(chan func() error, maxNotices), names: map[clock.ID]string{}}
}

// prepare makes everything that the loop needs. Nothing waits for the loop yet, so this may.
func (d *Daemon) prepare() error {
	privileges, err := d.platform.Privileges()
	if err != nil {
		return err
	}
	if lack := missing(needs(d.cfg, privileges.FirstFreePort), privileges); len(lack) > 0 {
		err := fmt.Errorf("daemon: lacking %s %s", lack[0].name, lack[0].why)
		for _, n := range lack[1:] {
			err = fmt.Errorf("%w, %s %s", err, n.name, n.why)
		}
		return err
	}
	if _, err := crand.Read(d.localMAC[:]); err != nil {
		return fmt.Errorf("daemon: draw a random number: %w", err)
	}
	d.localMAC[0] = d.localMAC[0]&^1 | 2 // locally administered
	// A daemon that runs already is found by its socket: before anything of the host is touched.
	if err := d.listenStatus(); err != nil {
		return err
	}
	if d.clocks, err = newClocks(d.cfg, d.log, d.platform); err == nil {
		d.leaps = loadLeaps(d.cfg, d.log)
		err = d.start()
	}
	if err != nil {
		return errors.Join(err, d.closeStatus())
	}
	return nil
}

// start makes the engine and everything at the edges.
func (d *Daemon) start() error {
	saved, err := loadState(d.cfg.StateFile)
	if err != nil {
		d.log.Warn("state file", "err", err)
	}
	now := sysclock.Monotonic()
	d.started, d.nextChores, d.nextWatchdog = now, now.Add(choresInterval), clock.Never
	if d.opt.Watchdog > 0 {
		d.nextWatchdog = now.Add(d.opt.Watchdog)
	}
	d.host = host.New(d.cfg, d.env(now, saved), driver{d})
	info, err := d.clocks.info(d.cfg)
	if err != nil {
		return err
	}
	d.host.AddClock(now, info)
	d.openAll()
	d.serveStatus()
	if d.opt.Notify != nil {
		d.workers.Go(d.notify)
	}
	d.workers.Go(d.watchLinks)
	if d.opt.Reload != nil {
		d.workers.Go(d.reloads)
	}
	return nil
}

// run is the loop, until ctx is done.
func (d *Daemon) run() error {
	d.proceed(sysclock.Monotonic())
	err := d.loop.run(d.ctx, d, d.handle)
	d.stop()
	return err
}

// call has the loop call f soon, unless the daemon ends before. It waits while the loop is behind.
func (d *Daemon) call(f func(now clock.Mono)) {
	d.loop.post(d.ctx, event{kind: called, call: f})
}

// env is what an engine starts from.
func (d *Daemon) env(now clock.Mono, saved engine.Saved) host.Env {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails
	return host.Env{Rand: rand.New(rand.NewChaCha8(seed)), Env: engine.Env{Saved: saved, Start: now, Version: d.opt.Version,
		Leaps: d.leaps, LeapsName: d.cfg.UTC.LeapSecondsList}}
}

// loadLeaps reads the leap-seconds list, nil if there is none.
func loadLeaps(cfg *configs.Config, log *slog.Logger) *clock.LeapTable {
	file := cfg.UTC.LeapSecondsList
	if file == "" {
		return nil
	}
	leaps, err := sysclock.LoadLeapSeconds(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Info("there is no leap-seconds list", "file", file)
	case err != nil:
		log.Warn("leap-seconds list", "err", err)
	}
	return leaps
}

// openAll has the sockets made that the configuration asks for.
func (d *Daemon) openAll() {
	if d.cfg.Discovered && len(d.cfg.PTP.Ports) > 0 {
		d.log.Warn(configs.Unconfigured, "ports", len(d.cfg.PTP.Ports))
	}
	d.ports, d.associations = nil, nil
	for i, c := range d.cfg.PTP.Ports {
		d.ports = append(d.ports, &portSockets{cfg: c, n: i, stamping: byKernel()})
	}
	for range d.host.Associations() {
		d.associations = append(d.associations, &association{stamping: byKernel()})
	}
	for _, p := range d.ports {
		d.openPort(p)
	}
	for n := range d.associations {
		d.stampAssociation(n)
	}
	d.untidy = true
}

// closeAll gives up all sockets.
func (d *Daemon) closeAll() {
	for _, p := range d.ports {
		d.shutPort(p)
	}
	for _, a := range d.associations {
		d.disconnect(a)
	}
}

// handle hands an event to the engine, and begins what that has led to.
func (d *Daemon) handle(now clock.Mono, e *event) {
	d.take(now, e)
	d.proceed(now)
}

func (d *Daemon) take(now clock.Mono, e *event) {
	switch e.kind {
	case ptpReceived:
		if d.fromPort(e) {
			d.host.PTPReceived(now, e.n, e.buffer.data(), e.ts, e.from)
		}
	case ptpUnicast:
		if d.fromPort(e) {
			d.unicast(now, e)
		}
	case ptpTransmitted:
		if d.fromPort(e) {
			d.host.PTPTransmitted(now, e.n, e.id, e.ts)
		}
	case ntpReceived:
		if d.fromServer(e) {
			d.host.NTPReceived(now, e.n, e.buffer.data(), e.ts)
		}
	case ntpTransmitted:
		if d.fromServer(e) {
			d.host.NTPTransmitted(now, e.n, e.id, e.ts)
		}
	case crossed:
		d.crossed(now, e)
	case resolved:
		if e.serial == d.generation {
			d.host.Resolved(now, e.n, e.addrs, e.err)
		}
	case linkChanged:
		d.linkChanged(now, e.link)
	case called:
		e.call(now)
	}
}

// fromPort tells whether an event is of a socket that is still in use: a reload may have left fewer ports.
func (d *Daemon) fromPort(e *event) bool {
	return e.n < len(d.ports) && d.ports[e.n].serial == e.serial
}

func (d *Daemon) fromServer(e *event) bool {
	return e.n < len(d.associations) && d.associations[e.n].serial == e.serial
}

// crossed hands over a comparison, or notices that the clock is gone.
func (d *Daemon) crossed(now clock.Mono, e *event) {
	id := e.crossing.A.Clock()
	if h := d.clocks.phcs[id]; h == nil || h.serial != e.serial {
		return // it has been given up since
	}
	if e.err != nil {
		d.repeated("crossing "+id.String(), "comparing clocks", e.err)
	}
	if errors.Is(e.err, clock.ErrGone) {
		d.loseClock(now, id, e.err)
		return
	}
	d.host.Crossed(now, e.crossing, e.err)
}

// stop leaves everything as it should be left. It waits for what is under way, but only once the clocks are settled.
func (d *Daemon) stop() {
	now := sysclock.Monotonic()
	d.tell(d.opt.Notify.Stopping)
	d.host.Settle(now)
	saved, worth := d.host.Save(now)
	d.cancel()
	d.drain(now)
	d.closeAll()
	d.closeWaiting()
	d.closeHardware()
	d.clocks.unlock()
	close(d.notices)
	d.workers.Wait() // also for a state of before that is being written
	if worth && d.cfg.StateFile != "" {
		if err := saveState(d.cfg.StateFile, saved); err != nil {
			d.log.Warn("state file", "err", err)
		}
	}
}

// closeHardware closes the PHCs, and puts back how the NICs were configured.
func (d *Daemon) closeHardware() {
	r, closing := d.hardware.release(slices.Collect(maps.Values(d.hardware.phcs)), nil)
	if closing != nil {
		d.log.Warn("closing a clock", "err", closing)
	}
	d.notReleased(&r)
}
