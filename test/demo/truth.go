// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/status"
)

// truth knows how far the client's clock is from CLOCK_REALTIME, which the client itself does not.
//
// Snapshot.Started is what the client's clock reads less the time by CLOCK_MONOTONIC that the client has been running for.
// So it moves by as much as the clock's error changes. The error at the beginning is what the configuration asks for, until
// the clock is steered for the first time.
type truth struct {
	begun time.Time // the least Started of a right clock
}

const (
	// readings to be had before the clock is steered.
	readings = 5
	// readingError is what a reading may be wrong by, the beginning included.
	readingError = time.Microsecond
)

// errSteered: the client was not caught before it steered its clock.
var errSteered = errors.New("the client has steered its clock before anybody could look")

// calibrate takes a snapshot from before the client steers its clock. host is the correction of CLOCK_REALTIME in ppb, which
// the oscillator of the virtual clock does not have.
func (t *truth) calibrate(s *status.Snapshot, v configs.Virtual, host float64) error {
	for _, c := range s.Clocks {
		if c.Steps > 0 || c.Frequency != 0 {
			return errSteered
		}
	}
	drift := clock.Nanoseconds((v.Frequency - host) / 1e9 * float64(s.Time.Sub(s.Started)))
	if begun := s.Started.Add(-v.Offset - drift); t.begun.IsZero() || begun.Before(t.begun) {
		t.begun = begun
	}
	return nil
}

// read returns the error of the client's clock, positive when it is ahead.
func (t *truth) read(s *status.Snapshot) time.Duration { return s.Started.Sub(t.begun) }

// figures are what was found of the true error while the client was locked.
type figures struct {
	errors  []time.Duration // magnitudes
	covered int             // of them, not surely beyond the maximum error that the client stated
	bound   time.Duration   // the largest that it stated
}

func (f *figures) add(off time.Duration, s *status.Snapshot) {
	f.errors = append(f.errors, off.Abs())
	f.bound = max(f.bound, s.MaxError)
	if off.Abs() <= s.MaxError+readingError {
		f.covered++
	}
}

// quantile of the magnitudes, q from 0 to 1; 0 if there is none.
func (f *figures) quantile(q float64) time.Duration {
	if len(f.errors) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f.errors))
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}
