// SPDX-License-Identifier: Apache-2.0

package ptp

// steering remembers by how much the frequency corrections of the measured clock moved it, so that what is left of its
// drift is the oscillator's alone. Readings are in ns of the measured clock.
type steering struct {
	ring [64]frequencyChange
	n    int // of entries in use
	next int // where the next one goes
	// before is the correction in force ahead of the oldest entry, if known.
	before float64
	known  bool
}

type frequencyChange struct {
	at    int64
	ppb   float64
	moved float64 // ns by which the corrections moved the clock until at
}

func (s *steering) entry(back int) *frequencyChange {
	return &s.ring[(s.next-1-back+2*len(s.ring))%len(s.ring)]
}

// change notes that from reading at on the correction is ppb.
func (s *steering) change(at int64, ppb float64) {
	moved := 0.0
	if !s.known {
		s.before, s.known = ppb, true
	}
	if s.n > 0 && at < s.entry(0).at {
		s.forget()
	}
	if s.n > 0 {
		last := s.entry(0)
		moved = last.moved + float64(at-last.at)*last.ppb*1e-9
	}
	if s.n == len(s.ring) {
		s.before = s.ring[s.next].ppb
	} else {
		s.n++
	}
	s.ring[s.next] = frequencyChange{at, ppb, moved}
	s.next = (s.next + 1) % len(s.ring)
}

// forget drops all but the correction in force, when readings no longer compare with earlier ones.
func (s *steering) forget() {
	if s.n > 0 {
		*s = steering{before: s.entry(0).ppb, known: true}
	}
}

// moved returns by how many ns the corrections moved the clock between two readings, from not after to.
func (s *steering) moved(from, to int64) float64 { return s.until(to) - s.until(from) }

func (s *steering) until(t int64) float64 {
	for back := range s.n {
		if e := s.entry(back); e.at <= t {
			return e.moved + float64(t-e.at)*e.ppb*1e-9
		}
	}
	if s.n == 0 {
		return 0 // one correction all the time: what runs straight is left to the drift
	}
	oldest := s.entry(s.n - 1)
	return oldest.moved - float64(oldest.at-t)*s.before*1e-9
}

// step moves all readings by d ns.
func (s *steering) step(d int64) {
	for i := range s.n {
		s.entry(i).at += d
	}
}
