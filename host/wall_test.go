// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// wall is a kind of source that says what a file says: by how many ns the system clock is ahead. It is what a kind of source
// is at the least.
type wall struct {
	file string
	host *Host
	sink engine.Sink
	next clock.Mono
	last clock.Mono // when the file was read last, 0 if it never was
}

// addWall registers a wall for each file.
func (h *Host) addWall(files ...string) {
	for _, f := range files {
		w := &wall{file: f, host: h}
		w.sink = h.Register(w)
	}
}

func (w *wall) Info() source.Info {
	return source.Info{ID: source.ID("wall:" + w.file), Kind: "wall", Name: w.file, Traits: source.Traits{Combinable: true}}
}

func (w *wall) Standing(now clock.Mono) source.Standing {
	if w.last == 0 || now.Sub(w.last) > 10*time.Second {
		return source.Standing{State: source.Unreachable, Reason: source.Reason{Code: source.NoAnswer}}
	}
	return source.Standing{State: source.Usable}
}

func (w *wall) Claim() timescale.Claim                  { return timescale.Claim{Scale: clock.UTC} }
func (w *wall) Need(clock.Mono, source.Need)            {}
func (w *wall) Judged(clock.Mono, source.Verdict)       {}
func (w *wall) ClockChanged(clock.Mono, source.Change)  {}
func (w *wall) NextWake() clock.Mono                    { return w.next }
func (w *wall) Describe(_ clock.Mono, s *status.Source) { s.Reference = "the wall" }

func (w *wall) Wake(now clock.Mono) {
	w.next = now.Add(time.Second)
	at, _, ok := w.host.Clocks().Frequency(now, clock.System)
	text, err := os.ReadFile(w.file)
	if !ok || err != nil {
		return
	}
	ahead, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return
	}
	w.last = now
	w.sink.Sample(now, &source.Sample{At: at, Offset: ahead, Variance: 1e4, MaxError: time.Millisecond, Interval: time.Second})
}
