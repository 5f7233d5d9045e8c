// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
)

// fakeNIC is a driver that has some filters, and gives a wider one for some of those it has not.
type fakeNIC struct {
	called   string
	now      Config
	filters  []RxFilter
	widened  map[RxFilter]RxFilter
	readErr  error
	setErr   error
	requests []Config
}

func (f *fakeNIC) name() string          { return f.called }
func (f *fakeNIC) rename(to string)      { f.called = to }
func (f *fakeNIC) read() (Config, error) { return f.now, f.readErr }

func (f *fakeNIC) set(h Config) (Config, error) {
	f.requests = append(f.requests, h)
	if f.setErr != nil {
		return Config{}, f.setErr
	}
	if wide, ok := f.widened[h.RxFilter]; ok {
		h.RxFilter = wide
	} else if h.RxFilter != RxNone && !slices.Contains(f.filters, h.RxFilter) {
		return Config{}, ioctlError(unix.ERANGE)
	}
	f.now = h
	return h, nil
}

func acquire(t *testing.T, c *Configurator, uses Use, want Config) {
	t.Helper()
	if got, err := c.Acquire(uses); err != nil || got != want {
		t.Errorf("acquire %v: got %v, %v, want %v", uses, got, err, want)
	}
}

func allFilters() []RxFilter {
	return []RxFilter{RxPTPv2L4Event, RxPTPv2L2Event, RxPTPv2Event, RxNTPAll, RxAll}
}

func TestConfiguratorTakesTheNarrowest(t *testing.T) {
	for uses, want := range map[Use]RxFilter{
		PTPOverUDP: RxPTPv2L4Event, PTPOverEthernet: RxPTPv2L2Event, PTPOverUDP | PTPOverEthernet: RxPTPv2Event,
		NTP: RxNTPAll, NTP | PTPOverUDP: RxAll,
	} {
		acquire(t, &Configurator{driver: &fakeNIC{filters: allFilters()}}, uses, Config{TxOn, want})
	}
}

func TestConfiguratorWidensForMorePortsAndRestores(t *testing.T) {
	before := Config{TxOneStepSync, RxPTPv2L2Event}
	nic := &fakeNIC{now: before, filters: allFilters()}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
	acquire(t, c, PTPOverEthernet, Config{TxOn, RxPTPv2Event})
	acquire(t, c, NTP, Config{TxOn, RxAll})
	if err := c.Restore(); err != nil || nic.now != before {
		t.Errorf("restored to %v, %v, want %v", nic.now, err, before)
	}
}

func TestConfiguratorLeavesASufficientConfigurationAlone(t *testing.T) {
	nic := &fakeNIC{now: Config{TxOn, RxAll}, setErr: unix.EPERM}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP|NTP, nic.now)
	if err := c.Restore(); err != nil || len(nic.requests) != 0 {
		t.Errorf("%v; requests %v, want none", err, nic.requests)
	}
}

func TestConfiguratorTakesWhatTheDriverGrants(t *testing.T) {
	nic := &fakeNIC{widened: map[RxFilter]RxFilter{RxPTPv2L4Event: RxPTPv2L2Event, RxPTPv2Event: RxAll}}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxAll}) // the first one does not serve, the second one more than asked
	acquire(t, c, NTP, Config{TxOn, RxAll})
	if len(nic.requests) != 2 {
		t.Errorf("requests %v, want 2", nic.requests)
	}
}

func TestConfiguratorKeepsWhatItHasWhenMoreIsRefused(t *testing.T) {
	nic := &fakeNIC{filters: []RxFilter{RxPTPv2Event}}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2Event})
	if _, err := c.Acquire(NTP); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("got %v, want ErrNotSupported", err)
	}
	if want := (Config{TxOn, RxPTPv2Event}); nic.now != want {
		t.Errorf("left at %v, want %v", nic.now, want)
	}
}

func TestConfiguratorWithoutPrivilege(t *testing.T) {
	c := &Configurator{driver: &fakeNIC{setErr: unix.EPERM}}
	if _, err := c.Acquire(PTPOverUDP); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want EPERM", err)
	}
	if err := c.Restore(); err != nil {
		t.Errorf("nothing was changed, and restoring it fails: %v", err)
	}
}

func TestConfiguratorReapplies(t *testing.T) {
	nic := &fakeNIC{filters: allFilters()}
	c := &Configurator{driver: nic}
	if changed, err := c.Reapply(); changed || err != nil {
		t.Errorf("with nothing acquired: %v, %v", changed, err)
	}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
	if changed, err := c.Reapply(); changed || err != nil {
		t.Errorf("with nothing lost: %v, %v", changed, err)
	}
	nic.now = Config{}
	if changed, err := c.Reapply(); !changed || err != nil || nic.now.RxFilter != RxPTPv2L4Event {
		t.Errorf("after a reset: %v, %v, %v", changed, err, nic.now)
	}
	nic.readErr = ioctlError(unix.ENODEV)
	if _, err := c.Reapply(); !errors.Is(err, hwts.ErrNoInterface) {
		t.Errorf("after removal: got %v, want ErrNoInterface", err)
	}
}

// TestConfiguratorOfADriverThatCannotTell has one that sets what it is asked for and cannot be asked what that is: to set it
// again may reset the NIC, so that nothing is done without need.
func TestConfiguratorOfADriverThatCannotTell(t *testing.T) {
	nic := &fakeNIC{filters: allFilters(), readErr: ioctlError(unix.EOPNOTSUPP)}
	c := &Configurator{driver: nic}
	if _, err := c.Acquire(PTPOverUDP | PTPOverEthernet); err != nil {
		t.Fatal(err)
	}
	before := len(nic.requests)
	if c.Forgotten() {
		t.Error("it is sure that nothing is in force")
	}
	for range 2 {
		if err := c.Keep(PTPOverUDP); err != nil {
			t.Errorf("to narrow it: %v", err)
		}
	}
	if len(nic.requests) != before {
		t.Errorf("set again: %v", nic.requests[before:])
	}
	nic.readErr, nic.now = nil, Config{}
	if !c.Forgotten() {
		t.Error("what is not in force any more is not found out")
	}
}

func TestConfiguratorRestoresNeitherWhatOthersSetNorWhatItNeverRead(t *testing.T) {
	nic := &fakeNIC{filters: allFilters()}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
	other := Config{TxOn, RxAll}
	nic.now = other
	if err := c.Restore(); err != nil || nic.now != other {
		t.Errorf("%v, left at %v, want %v", err, nic.now, other)
	}
	nic = &fakeNIC{filters: allFilters(), readErr: ioctlError(unix.EOPNOTSUPP)}
	c = &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
	if err := c.Restore(); err != nil || len(nic.requests) != 1 {
		t.Errorf("%v; requests %v, want 1", err, nic.requests)
	}
}

// What another program has set and we have found sufficient is not ours to take back.
func TestConfiguratorRestoresOnlyItsOwn(t *testing.T) {
	other := Config{TxOn, RxAll}
	for name, again := range map[string]func(*Configurator) error{
		"reapplied": func(c *Configurator) error { _, err := c.Reapply(); return err },
		"acquired":  func(c *Configurator) error { _, err := c.Acquire(NTP); return err },
	} {
		nic := &fakeNIC{filters: allFilters()}
		c := &Configurator{driver: nic}
		acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
		nic.now = other
		if err := errors.Join(again(c), c.Keep(PTPOverUDP), c.Restore()); err != nil || nic.now != other {
			t.Errorf("%s: %v, left at %v, want %v", name, err, nic.now, other)
		}
	}
}

func TestConfiguratorNarrowsForFewerPorts(t *testing.T) {
	nic := &fakeNIC{filters: allFilters()}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
	acquire(t, c, NTP, Config{TxOn, RxAll})
	for range 2 {
		if err := c.Keep(PTPOverUDP); err != nil || nic.now.RxFilter != RxPTPv2L4Event || len(nic.requests) != 3 {
			t.Errorf("%v; left at %v by %v", err, nic.now, nic.requests)
		}
	}
	if err := c.Keep(0); err != nil || len(nic.requests) != 3 {
		t.Errorf("%v; with nothing left it was set %v", err, nic.requests)
	}
	if err := c.Restore(); err != nil || nic.now != (Config{}) {
		t.Errorf("%v; restored to %v", err, nic.now)
	}
}

// A NIC that has a filter for each and none for both changes over.
func TestConfiguratorChangesOver(t *testing.T) {
	nic := &fakeNIC{filters: []RxFilter{RxPTPv2L4Event, RxPTPv2L2Event}}
	c := &Configurator{driver: nic}
	acquire(t, c, PTPOverEthernet, Config{TxOn, RxPTPv2L2Event})
	if err := c.Keep(0); err != nil {
		t.Fatal(err)
	}
	acquire(t, c, PTPOverUDP, Config{TxOn, RxPTPv2L4Event})
}

func TestConfiguratorOfARenamedInterface(t *testing.T) {
	nic := &fakeNIC{called: "fake0", setErr: ioctlError(unix.EOPNOTSUPP)}
	c := &Configurator{driver: nic}
	c.Rename("fake1")
	if _, err := c.Acquire(NTP); err == nil || !strings.Contains(err.Error(), "fake1") {
		t.Errorf("got %v, which does not name fake1", err)
	}
	c = NewConfigurator("lo")
	c.Rename("none-such")
	if _, err := c.Acquire(NTP); !errors.Is(err, hwts.ErrNoInterface) {
		t.Errorf("got %v, want ErrNoInterface", err)
	}
}

func TestKernelRefusesLoopback(t *testing.T) {
	if _, err := ReadConfig("lo"); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("read: got %v, want ErrNotSupported", err)
	}
	if _, err := ReadConfig("none-such"); !errors.Is(err, hwts.ErrNoInterface) {
		t.Errorf("read: got %v, want ErrNoInterface", err)
	}
	if _, err := NewConfigurator("none-such").Acquire(NTP); !errors.Is(err, hwts.ErrNoInterface) {
		t.Errorf("acquire: got %v, want ErrNoInterface", err)
	}
}
