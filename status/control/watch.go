// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

const defaultInterval = time.Second

// watch sends a snapshot at once, one per interval if one was made meanwhile, and one at each change of its essence.
// An interval of 0 leaves only the changes. When nothing was sent for a heartbeat, it sends a space: white space between
// documents is no document to any reader of JSON, old clients included.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	interval, err := parseInterval(r.URL.RawQuery)
	if err == nil && r.ContentLength != 0 {
		// The server reads what is left of it before it answers, and stream has taken away the deadline for that.
		err = errors.New("a watch takes no body")
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, end := context.WithCancel(r.Context())
	defer end()
	watcher, err := s.watchers.add(s.peer(ctx), end)
	if err != nil {
		s.fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer s.watchers.remove(watcher)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	if err := s.stream(ctx, w, out, interval); err != nil {
		// The client does not read what marks the end of the answer either.
		err = errors.Join(err, supported(out.SetWriteDeadline(time.Now())))
		s.log.Debug("control: watch ended", "error", err)
	}
}

// stream returns nil when ctx ends, as it does when the client or the server ends the watch.
func (s *Server) stream(ctx context.Context, w io.Writer, out *http.ResponseController, interval time.Duration) error {
	// A client that has sent its request may keep still for as long as it watches.
	if err := supported(out.SetReadDeadline(time.Time{})); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	ticker := time.NewTicker(changePeriod)
	defer ticker.Stop()
	var last *status.Snapshot
	var sent time.Time // when last was
	client, spoke := newReading(ctx, s.patience), time.Now()
	for {
		if err := client.check(); err != nil {
			return err
		}
		now := s.snapshot()
		due := interval > 0 && time.Since(sent) > interval-changePeriod/2 // the nearest tick
		var err error
		switch {
		case now != nil && now != last && (last == nil || due || essenceOf(now) != essenceOf(last)):
			err = writeLine(w, out, now)
			last, sent = now, time.Now()
			spoke = sent
			client.sent()
		case time.Since(spoke) > heartbeat-changePeriod/2:
			err = write(w, out, []byte{' '})
			spoke = time.Now()
			client.sent()
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func writeLine(w io.Writer, out *http.ResponseController, now *status.Snapshot) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return write(w, out, append(plain.JSON(b), '\n'))
}

// write fails if neither the client nor the kernel takes the bytes in time.
func write(w io.Writer, out *http.ResponseController, b []byte) error {
	if err := supported(out.SetWriteDeadline(time.Now().Add(writeTimeout))); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// supported drops the error of a ResponseWriter that has no deadlines.
func supported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// essence is what a watcher is told of at once.
type essence struct {
	state    status.State
	selected source.ID
	reason   string
	steps    uint64
	event    uint64 // the number of the latest
}

func essenceOf(s *status.Snapshot) essence {
	e := essence{state: s.State, selected: s.Selected, reason: s.Reason, steps: s.Steps}
	if n := len(s.Events); n > 0 {
		e.event = s.Events[n-1].Number
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
