// SPDX-License-Identifier: Apache-2.0

package host

import (
	"math/rand/v2"
	"testing"
)

type zeros struct{}

func (zeros) Uint64() uint64 { return 0 }

// TestChance is of a cryptographic generator: what a stranger has seen of it tells nothing of what comes next.
func TestChance(t *testing.T) {
	h := &Host{rand: rand.New(zeros{})}
	got, want := h.generator(), rand.NewChaCha8([32]byte{})
	for range 100 {
		if a, b := got.Uint64(), want.Uint64(); a != b {
			t.Fatalf("%#x, want %#x", a, b)
		}
	}
	h.rand = rand.New(rand.NewPCG(1, 2))
	if h.generator().Uint64() == h.generator().Uint64() {
		t.Error("two generators are the same")
	}
	firsts := map[uint16]bool{}
	for range 64 {
		_, first := h.chance()
		firsts[first] = true
	}
	if len(firsts) < 60 {
		t.Errorf("%d different numbers of 64 to begin counting from", len(firsts))
	}
}
