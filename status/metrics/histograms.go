// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxSeries bounds the memory of a histogram between two scrapes: what comes after so many names is left out.
	maxSeries = 256
	// decades is how many powers of ten the buckets cover, with two per power: 1 and 3.
	decades = 9
)

// histograms is one histogram per clock or source.
type histograms struct {
	opts  prometheus.HistogramOpts
	label string
	mu    sync.RWMutex
	byKey map[string]prometheus.Histogram
}

// newHistograms returns histograms of durations whose first bucket ends at smallest.
func newHistograms(name, help, label string, smallest time.Duration) *histograms {
	buckets := make([]float64, 0, 2*decades+1)
	for range decades {
		buckets = append(buckets, seconds(smallest), seconds(3*smallest))
		smallest *= 10
	}
	buckets = append(buckets, seconds(smallest))
	return &histograms{
		opts:  prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets},
		label: label,
		byKey: make(map[string]prometheus.Histogram),
	}
}

// observe adds the magnitude of d. It allocates only at the first observation of a key.
func (h *histograms) observe(key string, d time.Duration) {
	h.mu.RLock()
	series := h.byKey[key]
	h.mu.RUnlock()
	if series == nil {
		if series = h.add(key); series == nil {
			return
		}
	}
	series.Observe(max(seconds(d), -seconds(d)))
}

// add returns nil if there are too many series already.
func (h *histograms) add(key string) prometheus.Histogram {
	h.mu.Lock()
	defer h.mu.Unlock()
	if series, ok := h.byKey[key]; ok || len(h.byKey) >= maxSeries {
		return series
	}
	opts := h.opts
	opts.ConstLabels = prometheus.Labels{h.label: labelValue(key)}
	series := prometheus.NewHistogram(opts)
	h.byKey[key] = series
	return series
}

// collect sends the series whose keys are among known, and forgets the others.
func (h *histograms) collect(known map[string]bool, out chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, series := range h.byKey {
		if !known[key] {
			delete(h.byKey, key)
			continue
		}
		series.Collect(out)
	}
}
