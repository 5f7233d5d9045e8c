// SPDX-License-Identifier: Apache-2.0

package phc

// Attempts is how often a call is made that a signal or a busy driver cuts short.
const Attempts = attempts
