// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/lockstep-time/lockstep/phc"
)

// frequency is a clock's frequency correction in ppb.
type frequency struct {
	// PPB is what was last asked for, by anybody; nil if the kernel does not tell, and Reason says why.
	PPB    *float64 `json:"frequency_ppb"`
	Reason string   `json:"reason,omitempty"`
	// Taken is what the hardware makes of it, where its quantum is known.
	Taken *float64 `json:"taken_ppb,omitempty"`
}

func (f frequency) String() string {
	switch {
	case f.PPB == nil:
		return "? (" + f.Reason + ")"
	case f.Taken != nil && *f.Taken != *f.PPB:
		return fmt.Sprintf("%s (the hardware takes %s)", ppb(*f.PPB), ppb(*f.Taken))
	}
	return ppb(*f.PPB)
}

// readFrequency asks a clock. That the kernel does not tell while there are virtual clocks on top of it is no error.
func readFrequency(d *phc.Device) (frequency, error) {
	v, err := d.Frequency()
	var failed *phc.Error
	if errors.Is(err, phc.ErrBusy) && errors.As(err, &failed) {
		return frequency{Reason: failed.Reason()}, nil
	}
	if err != nil {
		return frequency{}, err
	}
	f := frequency{PPB: &v}
	if q := phc.FrequencyQuantum(d.Driver(), d.MaxFrequency()); q > 0 {
		taken := math.Trunc(v/q) * q
		f.Taken = &taken
	}
	return f, nil
}

// frequencyInfo is a clock's frequency correction, and what it can be.
type frequencyInfo struct {
	ident
	frequency
	Max float64 `json:"max_ppb"`
	// Quantum is its smallest change, 0 if that is not known or too small to matter.
	Quantum float64 `json:"quantum_ppb,omitempty"`
}

func (f *frequencyInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%v  frequency %v, within ±%.0f ppb", f.ident, f.frequency, f.Max)
	if f.Quantum > 0 {
		fmt.Fprintf(w, " in steps of %.1f ppb", f.Quantum)
	}
	fmt.Fprintln(w)
}

// frequencyChange is a frequency correction that was set.
type frequencyChange struct {
	ident
	Did    string    `json:"did"`
	Asked  float64   `json:"asked"`
	Before *float64  `json:"frequency_before_ppb"`
	After  *float64  `json:"frequency_after_ppb"`
	Taken  *float64  `json:"taken_ppb,omitempty"`
	before frequency // for people
	after  frequency
}

func (c *frequencyChange) text(w io.Writer) {
	fmt.Fprintf(w, "%v  frequency was %v, is %v\n", c.ident, c.before, c.after)
}

func freq(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	if len(args) == 0 {
		f, err := readFrequency(d)
		if err != nil {
			return nil, err
		}
		return &frequencyInfo{identify(d), f, d.MaxFrequency(), phc.FrequencyQuantum(d.Driver(), d.MaxFrequency())}, nil
	}
	want, err := parsePPB(args[0])
	if err != nil {
		return nil, err
	}
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	before, err := readFrequency(d)
	if err != nil {
		return nil, err
	}
	if err := d.SetFrequency(want); err != nil {
		return nil, err
	}
	after, err := readFrequency(d)
	if err != nil {
		return nil, fmt.Errorf("the frequency is set, but: %w", err)
	}
	return &frequencyChange{identify(d), "frequency", want, before.PPB, after.PPB, after.Taken, before, after}, nil
}
