// SPDX-License-Identifier: Apache-2.0

package estimate

// Floor tells the least delay, there and back, that a path can be relied upon to have: hardly ever one that is longer than
// the least possible one, rather a shorter one. The least delay that it rests on only sinks: a path that has become longer
// may have done so in one direction. The zero Floor knows nothing. It belongs to one goroutine.
type Floor struct {
	least   [floorStretches]float64 // delay in each stretch; all of them have size delays
	n, size int
	current float64 // least delay of the stretch that is not complete yet, with so many delays
	count   int
	begun   bool
	began   int64 // time of the first delay
	last    int64
}

const (
	floorStretches = 16
	// the least of all delays is itself longer than the least possible one: by no more than floorSpread times what the
	// stretches' least ones exceed it by on average
	floorSpread = 2
	// floorTime is how long, in ns, delays have to be known: a queue somewhere may take its time to run empty
	floorTime = int64(60e9)
)

// Add takes in a delay, in ns, measured at now, in ns of a clock that is not set.
func (f *Floor) Add(now int64, delay float64) {
	if !f.begun {
		f.begun, f.began, f.size = true, now, 1
	}
	f.last = now
	if f.count == 0 {
		f.current = delay
	}
	f.current = min(f.current, delay)
	if f.count++; f.count < f.size {
		return
	}
	f.count = 0
	f.least[f.n] = f.current
	if f.n++; f.n == floorStretches { // each two become one
		for i := range floorStretches / 2 {
			f.least[i] = min(f.least[2*i], f.least[2*i+1])
		}
		f.n, f.size = floorStretches/2, 2*f.size
	}
}

// Least returns the least delay that can be relied upon, in ns; 0 as long as too little is known.
func (f *Floor) Least() float64 {
	if f.n < floorStretches/2 || f.last-f.began < floorTime {
		return 0
	}
	least, sum := f.least[0], 0.0
	for _, d := range f.least[:f.n] {
		least, sum = min(least, d), sum+d
	}
	spread := sum/float64(f.n) - least
	if f.count > 0 {
		least = min(least, f.current)
	}
	return max(0, least-floorSpread*spread)
}

// Forget empties it: it is another path.
func (f *Floor) Forget() { *f = Floor{} }
