// SPDX-License-Identifier: Apache-2.0

package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

const defaultInterval = time.Second

// watch sends a snapshot at once, one per interval if one was made meanwhile, and one at each change of its essence.
// An interval of 0 leaves only the changes.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	interval, err := parseInterval(r.URL.RawQuery)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		s.fail(w, http.StatusServiceUnavailable, fmt.Sprintf("there are %d watchers already", MaxWatchers))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if err := s.stream(w, r, interval); err != nil {
		s.log.Debug("control: watch ended", "error", err)
	}
}

// stream returns nil when the client or the server ends the watch.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, interval time.Duration) error {
	out := http.NewResponseController(w)
	// A client that has sent its request may keep still for as long as it watches.
	if err := out.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	ticker := time.NewTicker(changePeriod)
	defer ticker.Stop()
	var last *status.Snapshot
	var sent time.Time
	for {
		now := s.snapshot()
		if now != nil && now != last {
			due := interval > 0 && time.Since(sent) > interval-changePeriod/2 // the nearest tick
			if last == nil || due || essenceOf(now) != essenceOf(last) {
				if err := s.writeLine(w, out, now); err != nil {
					return err
				}
				last, sent = now, time.Now()
			}
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-ticker.C:
		}
	}
}

// writeLine fails if the client does not take the line in time.
func (s *Server) writeLine(w http.ResponseWriter, out *http.ResponseController, now *status.Snapshot) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := out.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.Write(append(plain.JSON(b), '\n')); err != nil {
		return err
	}
	return out.Flush()
}

// essence is what a watcher is told of at once.
type essence struct {
	state    status.State
	selected source.ID
	reason   string
	steps    uint64
	events   int
	event    string // the latest; its time moves as the clock is set
}

func essenceOf(s *status.Snapshot) essence {
	e := essence{state: s.State, selected: s.Selected, reason: s.Reason, steps: s.Steps}
	if n := len(s.Events); n > 0 {
		e.events, e.event = n, s.Events[n-1].Text
	}
	return e
}

// parseInterval reads the query of a watch: interval, and nothing else.
func parseInterval(query string) (time.Duration, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	interval := defaultInterval
	for key, value := range values {
		if key != "interval" || len(value) != 1 {
			return 0, fmt.Errorf("query: %q is not one interval", key)
		}
		if interval, err = time.ParseDuration(value[0]); err != nil {
			return 0, fmt.Errorf("interval: %w", err)
		}
	}
	if interval != 0 && (interval < MinInterval || interval > MaxInterval) {
		return 0, fmt.Errorf("interval: %v is neither 0 nor from %v to %v", interval, MinInterval, MaxInterval)
	}
	return interval, nil
}
