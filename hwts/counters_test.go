// SPDX-License-Identifier: Apache-2.0

package hwts

import "testing"

func TestCountersAdd(t *testing.T) {
	a := Counters{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	if got, want := a.Plus(a), (Counters{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
