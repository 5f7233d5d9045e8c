// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"strings"
	"testing"
)

func TestNamesOfTypesAndFilters(t *testing.T) {
	for i := range TxType(4) {
		if got, err := ParseTxType(i.String()); err != nil || got != i {
			t.Errorf("%v parses as %v, %v", i, got, err)
		}
	}
	for i := range RxFilter(16) {
		if got, err := ParseRxFilter(strings.ToUpper(i.String())); err != nil || got != i {
			t.Errorf("%v parses as %v, %v", i, got, err)
		}
	}
	if RxPTPv2Event.String() != "ptpv2-event" || TxOneStepP2P.String() != "onestep-p2p" || RxNTPAll.String() != "ntp-all" {
		t.Error("names differ from ethtool's")
	}
	if _, err := ParseRxFilter("ptpv3"); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "ptpv2-event") {
		t.Errorf("got %v, want an ErrConfig that says what is allowed", err)
	}
	if s := RxFilter(40).String(); s != "unknown-40" {
		t.Errorf("got %s", s)
	}
	set := TxTypes(1<<TxOff | 1<<TxOneStepSync)
	if !set.Has(TxOneStepSync) || set.Has(TxOn) || set.Has(40) || len(set.List()) != 2 {
		t.Errorf("set %b has the wrong types: %v", set, set.List())
	}
}
