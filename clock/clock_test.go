// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"encoding/json"
	"testing"
	"time"
)

func TestIDNamesClocks(t *testing.T) {
	for id, want := range map[ID]string{0: "none", System: "system", PHC(0): "ptp0", PHC(17): "ptp17"} {
		if got := id.String(); got != want {
			t.Errorf("%d is %q, want %q", id, got, want)
		}
	}
	for _, index := range []int{0, 1, 65533} {
		if got, ok := PHC(index).PHCIndex(); got != index || !ok {
			t.Errorf("PHC %d came back as %d, %t", index, got, ok)
		}
	}
	for _, id := range []ID{0, System} {
		if _, ok := id.PHCIndex(); ok {
			t.Errorf("%v is taken for a PHC", id)
		}
	}
}

func TestTimestampsOfDifferentClocksDoNotSubtract(t *testing.T) {
	a := At(System, 1000)
	if d, ok := a.Add(7).Sub(a); d != 7 || !ok {
		t.Errorf("%d, %t", d, ok)
	}
	if d, ok := a.Sub(At(PHC(0), 1)); d != 0 || ok {
		t.Errorf("%d, %t for different clocks", d, ok)
	}
	if _, ok := (Timestamp{}).Sub(Timestamp{}); ok {
		t.Error("no readings can be subtracted")
	}
	if a.IsZero() || !(Timestamp{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestMonoEndsAtNever(t *testing.T) {
	for _, c := range []struct {
		m    Mono
		d    time.Duration
		want Mono
	}{
		{5, 3, 8}, {5, -3, 2}, {Never, 1, Never}, {Never - 1, 1, Never}, {Never - 1, time.Hour, Never}, {5, 1<<63 - 1, Never},
	} {
		if got := c.m.Add(c.d); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.m, c.d, got, c.want)
		}
	}
	if got := Mono(8).Sub(5); got != 3 {
		t.Errorf("8 − 5 = %d", got)
	}
}

func TestInstantsConvertBetweenTheirScalesOnly(t *testing.T) {
	utc := Instant{1e18, UTC}
	tai, ok := utc.TAIFromUTC(37)
	if want := (Instant{1e18 + 37e9, TAI}); tai != want || !ok {
		t.Errorf("%v, %t", tai, ok)
	}
	if back, ok := tai.UTCFromTAI(37); back != utc || !ok {
		t.Errorf("%v, %t", back, ok)
	}
	for _, s := range []Scale{UnknownScale, Arbitrary} {
		if _, ok := (Instant{0, s}).TAIFromUTC(37); ok {
			t.Errorf("%v became TAI", s)
		}
		if _, ok := (Instant{0, s}).UTCFromTAI(37); ok {
			t.Errorf("%v became UTC", s)
		}
	}
	text, err := json.Marshal([]Scale{UnknownScale, UTC, TAI, Arbitrary})
	if err != nil || string(text) != `["unknown","UTC","TAI","ARB"]` {
		t.Errorf("%s, %v", text, err)
	}
}
