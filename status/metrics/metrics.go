// SPDX-License-Identifier: Apache-2.0

// Package metrics shows the snapshot to Prometheus. Names and units are as node_exporter's timex collector has them; each
// metric is described in docs/reference/metrics.md.
package metrics

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lockstep-time/lockstep/internal/httpserve"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

const (
	maxHeaderBytes = 8 << 10
	maxInFlight    = 4
	maxConnections = 32 // for a few scrapers; one address may have half
	requestTimeout = 5 * time.Second
	gatherTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Exporter shows the daemon's state as metrics, in a registry of its own. Its methods may be called from any goroutine.
type Exporter struct {
	registry *prometheus.Registry
	offsets  *histograms
	delays   *histograms
}

// New returns an Exporter that shows what snapshot returns, which is nil while there is nothing to show. Snapshot is called
// once per scrape, from any goroutine.
func New(snapshot func() *status.Snapshot) *Exporter {
	e := &Exporter{
		registry: prometheus.NewRegistry(),
		offsets: newHistograms("lockstep_clock_offset_magnitude_seconds",
			"Magnitude of the offsets by which the clock was steered.", "clock", time.Nanosecond),
		delays: newHistograms("lockstep_source_sample_delay_seconds",
			"Round-trip delays of the samples of the source.", "source", 100*time.Nanosecond),
	}
	e.registry.MustRegister(
		newCollector(snapshot, e.offsets, e.delays),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return e
}

// ObserveOffset adds an offset by which the clock of that name was steered to the clock's histogram, by its magnitude.
func (e *Exporter) ObserveOffset(clock string, d time.Duration) { e.offsets.observe(clock, d) }

// ObserveDelay adds the delay of a sample to the source's histogram.
func (e *Exporter) ObserveDelay(id source.ID, d time.Duration) { e.delays.observe(string(id), d) }

// Gatherer returns the registry, to be read only.
func (e *Exporter) Gatherer() prometheus.Gatherer { return e.registry }

// Handler answers GET /metrics in the text format or the OpenMetrics format.
func (e *Exporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxInFlight,
		Timeout:             gatherTimeout,
		EnableOpenMetrics:   true,
	}))
	return mux
}

// Serve answers scrapes on l until ctx is cancelled, then lets those under way finish for a second, closes l and returns
// nil. Any other end is an error.
func (e *Exporter) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           e.Handler(),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      gatherTimeout + requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	return httpserve.Run(ctx, "metrics on", server, l, maxConnections)
}
