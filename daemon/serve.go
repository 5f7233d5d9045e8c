// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/metrics"
)

// listenStatus opens the control socket and the address of the metrics.
func (d *Daemon) listenStatus() (err error) {
	if socket := d.cfg.Control.Socket; socket != "" {
		if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
			return fmt.Errorf("daemon: control socket: %w", err)
		}
		if d.control, err = control.Listen(socket, d.cfg.Control.Mode); err != nil {
			return err
		}
	}
	if d.cfg.Metrics.Listen != "" {
		if d.metrics, err = net.Listen("tcp", d.cfg.Metrics.Listen); err != nil {
			return errors.Join(fmt.Errorf("daemon: metrics: %w", err), d.closeStatus())
		}
		d.log.Info("metrics", "address", d.metrics.Addr().String())
	}
	return nil
}

// closeStatus closes what listenStatus has opened and nobody serves yet.
func (d *Daemon) closeStatus() (err error) {
	for _, l := range []net.Listener{d.control, d.metrics} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

func (d *Daemon) serveStatus() {
	if d.control != nil {
		s := control.NewServer(d.look, d.resume(), d.log)
		d.workers.Go(func() { d.served("control socket", s.Serve(d.ctx, d.control)) })
	}
	if d.metrics != nil {
		d.exporter = metrics.New(d.look)
		d.workers.Go(func() { d.served("metrics", d.exporter.Serve(d.ctx, d.metrics)) })
	}
}

func (d *Daemon) served(what string, err error) {
	if err != nil {
		d.log.Error(what+" has failed", "err", err)
	}
}

// resume returns what a request to steer again calls, nil where requests may only read.
func (d *Daemon) resume() func(context.Context) error {
	if !d.cfg.Control.Writable {
		return nil
	}
	return func(ctx context.Context) error {
		done := make(chan struct{})
		if !d.loop.post(ctx, event{kind: called, call: func(now clock.Mono) { d.host.Resume(now); close(done) }}) {
			return ctx.Err()
		}
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
