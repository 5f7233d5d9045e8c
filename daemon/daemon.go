// SPDX-License-Identifier: Apache-2.0

// Package daemon makes running parts of a configuration: sockets and clocks at the edges, and one goroutine in which the
// engine decides.
package daemon

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/daemon/sdnotify"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/metrics"
)

// Options of a Daemon beside its configuration.
type Options struct {
	// Load returns the configuration: at the start, and again at each reload.
	Load func() (*configs.Config, error)
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
	ctx          context.Context
	loop         *loop
	clocks       *clocks
	engine       *engine.Engine
	ports        []*portSockets
	associations []*association
	nics         map[string]*hwts.Configurator
	serials      uint32
	generation   uint32 // of the engine: names resolved for an earlier one are of no use
	localMAC     hwts.MAC
	workers      sync.WaitGroup
	quiet        map[string]*repetition
	notices      chan func() error // to the service manager
	control      net.Listener      // nil if there is none
	metrics      net.Listener      // nil if there is none
	snapshot     atomic.Pointer[status.Snapshot]
	watched      atomic.Int64 // clock.Mono at which somebody last looked at the snapshot
	exporter     *metrics.Exporter
	seen         map[string]time.Time // of each clock and source, up to when its figures are in the histograms
	ready        bool
	saved        clock.Mono
	published    clock.Mono
}

const (
	publishInterval = 200 * time.Millisecond // while somebody looks
	idleInterval    = time.Second
	watchedFor      = 5 * time.Second
	saveInterval    = time.Minute
	// readyPatience is how long the service manager is kept waiting for a source: a host without one has to boot too.
	readyPatience = 3 * time.Minute
)

// Run runs until ctx is done, then leaves the clocks as they are and puts back how the NICs were configured. It fails
// only if it cannot start.
func Run(ctx context.Context, opt Options) error {
	cfg, err := opt.Load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &Daemon{opt: opt, log: opt.Log, cfg: cfg, ctx: ctx, loop: newLoop(), nics: map[string]*hwts.Configurator{},
		quiet: map[string]*repetition{}, notices: make(chan func() error, maxNotices), seen: map[string]time.Time{}}
	lack, err := missing(needs(cfg))
	if err != nil {
		return err
	}
	if len(lack) > 0 {
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
	if d.clocks, err = newClocks(cfg, d.log); err == nil {
		err = d.start(ctx)
	}
	if err != nil {
		return errors.Join(err, d.closeStatus())
	}
	err = d.loop.run(ctx, func() waker { return d.engine }, d.handle)
	d.stop(cancel)
	return err
}

// start makes the engine and everything at the edges.
func (d *Daemon) start(ctx context.Context) error {
	saved, err := loadState(d.cfg.StateFile)
	if err != nil {
		d.log.Warn("state file", "err", err)
	}
	now := clock.Monotonic()
	d.engine = engine.New(d.cfg, d.env(now, saved), (*driver)(d))
	info, err := d.clocks.info(d.cfg)
	if err != nil {
		return err
	}
	d.engine.AddClock(now, info)
	d.openAll(ctx, now)
	d.serveStatus(ctx)
	if d.opt.Notify != nil {
		d.workers.Go(d.notify)
	}
	d.workers.Go(func() {
		err := hwts.Watch(ctx, func(ev hwts.Event) { d.loop.post(ctx, event{kind: linkChanged, link: ev}) })
		if ctx.Err() == nil {
			d.log.Warn("interfaces cannot be watched", "err", err)
		}
	})
	if d.opt.Watchdog > 0 {
		d.workers.Go(func() { d.every(ctx, d.opt.Watchdog, func(clock.Mono) { d.tell(d.opt.Notify.Watchdog) }) })
	}
	d.workers.Go(func() { d.every(ctx, publishInterval, d.publish) })
	if d.opt.Reload != nil {
		d.workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-d.opt.Reload:
					d.loop.post(ctx, event{kind: called, call: func(now clock.Mono) { d.reload(ctx, now) }})
				}
			}
		})
	}
	return nil
}

// every has the loop call f once per interval.
func (d *Daemon) every(ctx context.Context, interval time.Duration, f func(now clock.Mono)) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.loop.post(ctx, event{kind: called, call: f})
		}
	}
}

// env is what an engine starts from.
func (d *Daemon) env(now clock.Mono, saved engine.Saved) engine.Env {
	var seed [16]byte
	_, _ = crand.Read(seed[:]) // it never fails
	env := engine.Env{Rand: rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:]))),
		Saved: saved, Start: now, Version: d.opt.Version, LeapsName: d.cfg.UTC.LeapSecondsList}
	if env.LeapsName == "" {
		return env
	}
	leaps, err := clock.LoadLeapSeconds(env.LeapsName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.log.Info("there is no leap-seconds list", "file", env.LeapsName)
	case err != nil:
		d.log.Warn("leap-seconds list", "err", err)
	default:
		env.Leaps = leaps
	}
	return env
}

// openAll makes the sockets that the configuration asks for.
func (d *Daemon) openAll(ctx context.Context, now clock.Mono) {
	d.ports, d.associations = nil, nil
	for i, c := range d.cfg.PTP.Ports {
		d.ports = append(d.ports, &portSockets{cfg: c, n: i, caps: hwts.Capabilities{PHC: -1}})
	}
	for range d.engine.Associations() {
		d.associations = append(d.associations, &association{clock: clock.System})
	}
	for _, p := range d.ports {
		d.openPort(ctx, now, p)
	}
	d.stampAssociations(ctx, now, "")
}

func (d *Daemon) closeAll() {
	for _, p := range d.ports {
		d.shutPort(p)
	}
	for _, a := range d.associations {
		d.disconnect(a)
	}
}

// handle hands an event to the engine.
func (d *Daemon) handle(now clock.Mono, e *event) {
	switch e.kind {
	case ptpReceived:
		if d.fromPort(e) {
			d.engine.PTPReceived(now, e.n, e.buffer.data(), e.ts, e.from)
		}
	case ptpTransmitted:
		if d.fromPort(e) {
			d.engine.PTPTransmitted(now, e.n, e.id, e.ts)
		}
	case ntpReceived:
		if d.fromServer(e) {
			d.engine.NTPReceived(now, e.n, e.buffer.data(), e.ts)
		}
	case ntpTransmitted:
		if d.fromServer(e) {
			d.engine.NTPTransmitted(now, e.n, e.id, e.ts)
		}
	case crossed:
		d.crossed(now, e)
	case resolved:
		if e.serial == d.generation {
			d.engine.Resolved(now, e.n, e.addrs, e.err)
		}
	case linkChanged:
		d.linkChanged(d.ctx, now, e.link)
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
	if e.err != nil {
		d.repeated("crossing", "comparing clocks", e.err)
	}
	if errors.Is(e.err, clock.ErrGone) {
		for _, p := range d.ports {
			if p.open && clock.PHC(p.caps.PHC) == e.crossing.A.Clock() {
				d.losePort(now, p, e.err)
				d.openPort(d.ctx, now, p)
			}
		}
		return
	}
	d.engine.Crossed(now, e.crossing, e.err)
}

// look returns the latest snapshot, nil if there is none yet, and has it renewed often while somebody does so. It may be
// called from any goroutine.
func (d *Daemon) look() *status.Snapshot {
	d.watched.Store(int64(clock.Monotonic()))
	return d.snapshot.Load()
}

// publish makes a new snapshot for everybody outside, and does what is due now and then.
func (d *Daemon) publish(now clock.Mono) {
	if now.Sub(d.published) < idleInterval && now.Sub(clock.Mono(d.watched.Load())) > watchedFor {
		return
	}
	at, err := d.clocks.system.Now()
	if err != nil {
		return
	}
	s := d.engine.Snapshot(now, time.Unix(0, at.Nanoseconds()).UTC(), d.clocks.devices())
	d.snapshot.Store(s)
	d.observe(s)
	if !d.ready && (s.State == status.Locked || s.Time.Sub(s.Started) > readyPatience) {
		d.ready = true
		d.tell(d.opt.Notify.Ready)
	}
	if now.Sub(d.published) >= time.Second {
		d.published = now
		text := fmt.Sprintf("%s: %s, maximum error %v", s.State, s.Reason, s.MaxError)
		d.tell(func() error { return d.opt.Notify.Status(text) })
		d.retry(now)
	}
	if now.Sub(d.saved) >= saveInterval || d.saved == 0 && s.State == status.Locked {
		d.save(now)
	}
}

// retry opens the ports that could not be opened: their device may be free by now.
func (d *Daemon) retry(now clock.Mono) {
	for _, p := range d.ports {
		if !p.open {
			d.openPort(d.ctx, now, p)
		}
	}
}

// observe puts what is new in the snapshot into the histograms.
func (d *Daemon) observe(s *status.Snapshot) {
	if d.exporter == nil {
		return
	}
	for i := range s.Clocks {
		c := &s.Clocks[i]
		if c.State != "free" && c.Updated.After(d.seen[c.Name]) {
			d.seen[c.Name] = c.Updated
			d.exporter.ObserveOffset(c.Name, c.Offset)
		}
	}
	for i := range s.Sources {
		if src := &s.Sources[i]; src.LastSample.After(d.seen[string(src.ID)]) {
			d.seen[string(src.ID)] = src.LastSample
			d.exporter.ObserveDelay(src.ID, src.Delay)
		}
	}
}

// save keeps what has been learned for the next start.
func (d *Daemon) save(now clock.Mono) {
	s, worth := d.engine.Save(now)
	if d.cfg.StateFile == "" || !worth {
		return
	}
	d.saved = now
	path := d.cfg.StateFile
	d.workers.Go(func() {
		if err := saveState(path, s); err != nil {
			d.log.Warn("state file", "err", err)
		}
	})
}

// reload reads the configuration again. What the clocks' servos have learned stays; sources start anew.
func (d *Daemon) reload(ctx context.Context, now clock.Mono) {
	d.tell(func() error { return d.opt.Notify.Reloading(now) })
	defer func() {
		if d.ready {
			d.tell(d.opt.Notify.Ready)
		}
	}()
	cfg, err := d.opt.Load()
	if err != nil {
		d.log.Error("the configuration stays as it was", "err", err)
		return
	}
	if cfg.Control != d.cfg.Control || cfg.Metrics != d.cfg.Metrics || cfg.Log != d.cfg.Log ||
		cfg.Steering.SystemClock != d.cfg.Steering.SystemClock {
		d.log.Warn("changes of control, metrics, log and steering.system_clock take a restart")
		cfg.Control, cfg.Metrics = d.cfg.Control, d.cfg.Metrics
		cfg.Steering.SystemClock, cfg.Steering.Virtual = d.cfg.Steering.SystemClock, d.cfg.Steering.Virtual
	}
	saved, _ := d.engine.Save(now)
	d.closeAll()
	d.generation++
	d.cfg = cfg
	d.engine = d.engine.Successor(now, cfg, d.env(now, saved), (*driver)(d))
	d.openAll(ctx, now)
	d.log.Info("configuration read again")
}

// stop leaves everything as it should be left.
func (d *Daemon) stop(cancel context.CancelFunc) {
	now := clock.Monotonic()
	d.tell(d.opt.Notify.Stopping)
	d.engine.Settle(now)
	if s, worth := d.engine.Save(now); worth && d.cfg.StateFile != "" {
		if err := saveState(d.cfg.StateFile, s); err != nil {
			d.log.Warn("state file", "err", err)
		}
	}
	cancel()
	d.closeAll()
	d.clocks.closeAll()
	for name, nic := range d.nics {
		if err := nic.Restore(); err != nil {
			d.log.Warn("timestamping cannot be put back", "nic", name, "err", err)
		}
	}
	close(d.notices)
	d.workers.Wait()
}
