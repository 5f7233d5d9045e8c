// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"slices"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// MaxDelayFilter is the largest length of the moving median.
const MaxDelayFilter = 128

// median is the moving median of path delays.
type median struct {
	ring, work [MaxDelayFilter]wire.TimeInterval
	size       int
	n, next    int
	value      wire.TimeInterval
	deviation  wire.TimeInterval
}

func (m *median) reset(size int) { m.size, m.n, m.next, m.value, m.deviation = size, 0, 0, 0, 0 }

// add takes one more delay, below 1 s, and brings value and deviation up to date.
func (m *median) add(d wire.TimeInterval) {
	m.ring[m.next] = d
	m.next = (m.next + 1) % m.size
	m.n = min(m.n+1, m.size)
	work := m.work[:m.n]
	copy(work, m.ring[:m.n])
	m.value = middle(work)
	for i, v := range work {
		work[i] = max(v-m.value, m.value-v)
	}
	// 1.4826 makes the median absolute deviation of normal noise its standard deviation.
	m.deviation = wire.TimeInterval(float64(middle(work)) * 1.4826) // in range: delays are below 1 s
}

// middle sorts v and returns its median.
func middle(v []wire.TimeInterval) wire.TimeInterval {
	slices.Sort(v)
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return v[n/2-1] + (v[n/2]-v[n/2-1])/2
}
