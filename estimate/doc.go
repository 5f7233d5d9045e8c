// SPDX-License-Identifier: Apache-2.0

// Package estimate estimates from noisy measurements: the offset and frequency of a free-running oscillator, what the
// delay of a measurement says of its error, and the least and the usual delay of a path.
//
// Nothing in it asks what time it is, and nothing but New allocates. A value of its types belongs to one goroutine.
package estimate
