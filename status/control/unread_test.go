// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A client that reads now and then is not dropped, however much it has not read yet.
func TestReading(t *testing.T) {
	const patience = 10 * time.Second
	for name, c := range map[string]struct {
		sent  int                   // each second
		read  func(i, left int) int // in second i
		drops time.Duration         // 0: never
	}{
		"nothing sent": {0, func(int, int) int { return 0 }, 0},
		"all read":     {100, func(_, left int) int { return left }, 0},
		"little read":  {100, func(_, left int) int { return min(1, left) }, 0},
		"none read":    {100, func(int, int) int { return 0 }, 11 * time.Second},
		"then none": {100, func(i, left int) int {
			if i > 12 {
				return 0
			}
			return min(1, left)
		}, 23 * time.Second},
		"all read once": {1, func(i, left int) int {
			if i == 9 {
				return left
			}
			return 0
		}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := 0
				r := newReading(context.Background(), patience)
				r.unread = func() int { return left }
				begin := time.Now()
				for i := range 60 {
					left -= c.read(i, left)
					if err := r.check(); err != nil {
						if after := time.Since(begin); !errors.Is(err, errUnread) || after != c.drops {
							t.Errorf("%v after %v, want %v", err, after, c.drops)
						}
						return
					}
					left += c.sent
					r.sent()
					time.Sleep(time.Second)
				}
				if c.drops != 0 {
					t.Errorf("not dropped after %v", c.drops)
				}
			})
		})
	}
}
