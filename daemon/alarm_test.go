// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
)

// TestAlarm rings at each instant that it is set to, and not before.
func TestAlarm(t *testing.T) {
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { a.wait(); close(done) }()
	<-a.rang // the first one
	for _, after := range []time.Duration{3 * time.Millisecond, 0, time.Microsecond, -time.Hour, 2 * time.Millisecond} {
		at := sysclock.Monotonic().Add(after)
		for range 2 { // to set it to the same instant changes nothing
			if err := a.set(at); err != nil {
				t.Fatal(err)
			}
		}
		<-a.rang
		if now := sysclock.Monotonic(); now < at {
			t.Errorf("set to %v from now, it rang %v too early", after, at.Sub(now))
		}
		a.heard()
	}
	for _, at := range []clock.Mono{sysclock.Monotonic().Add(time.Hour), clock.Never} {
		if err := a.set(at); err != nil {
			t.Fatal(err)
		}
		select {
		case <-a.rang:
			t.Errorf("set to %v, it rang at once", at)
		case <-time.After(20 * time.Millisecond):
		}
	}
	a.close()
	<-done
}
