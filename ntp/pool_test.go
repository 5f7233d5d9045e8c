// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
)

// users records what pools do, and answers their look-ups from zone.
type users struct {
	pool    *ntp.Pool
	now     clock.Mono
	lookups []clock.Mono
	used    map[int]netip.AddrPort
	uses    int
	asked   bool
	zone    func() ([]netip.Addr, error)
	mute    map[netip.Addr]bool // addresses that nothing can be sent to
	opening time.Duration       // until that is seen
	seen    clock.Mono          // when it is, 0 if it is not open
}

func (u *users) Resolve(string) {
	u.asked = true
	u.lookups = append(u.lookups, u.now)
}

func (u *users) Use(slot int, a netip.AddrPort) error {
	u.used[slot] = a
	u.uses++
	if u.opening > 0 {
		u.seen = u.now.Add(u.opening)
		return ntp.ErrPending
	}
	if u.mute[a.Addr()] {
		return errMute
	}
	return nil
}

var errMute = errors.New("network is unreachable")

func newUsers(cfg ntp.PoolConfig, dir *ntp.Directory, addrs ...string) *users {
	u := &users{used: make(map[int]netip.AddrPort)}
	u.set(addrs...)
	u.pool = ntp.NewPool(cfg, dir, rand.New(rand.NewPCG(1, 2)), u)
	return u
}

func (u *users) set(addrs ...string) {
	var list []netip.Addr
	for _, a := range addrs {
		list = append(list, netip.MustParseAddr(a))
	}
	u.zone = func() ([]netip.Addr, error) { return list, nil }
}

// run lets virtual time pass.
func (u *users) run(d time.Duration) {
	end := u.now.Add(d)
	for u.pool.NextWake() <= end || u.seen != 0 && u.seen <= end {
		if u.seen != 0 && u.seen <= u.pool.NextWake() {
			u.now, u.seen = max(u.now, u.seen), 0
			err := error(nil)
			if u.mute[u.used[0].Addr()] {
				err = errMute
			}
			u.pool.Connected(u.now, 0, err)
			continue
		}
		u.now = max(u.now, u.pool.NextWake())
		u.pool.Wake(u.now)
		if u.asked {
			u.asked = false
			addrs, err := u.zone()
			u.pool.Resolved(u.now, addrs, err)
		}
	}
	u.now = end
}

func (u *users) addrs() map[netip.AddrPort]bool {
	set := make(map[netip.AddrPort]bool)
	for _, a := range u.used {
		set[a] = true
	}
	return set
}

func TestPoolKeepsDistinctServers(t *testing.T) {
	dir := ntp.NewDirectory()
	literal := newUsers(ntp.PoolConfig{Name: "192.0.2.2"}, dir)
	literal.run(0)
	a := newUsers(ntp.PoolConfig{Name: "a.example", Size: 2}, dir, "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "0.0.0.0",
		"224.0.1.1", "192.0.2.3")
	a.run(0)
	b := newUsers(ntp.PoolConfig{Name: "b.example", Size: 2}, dir, "192.0.2.1", "192.0.2.3", "2001:db8::1")
	b.run(time.Second)
	if len(literal.lookups) != 0 || len(a.lookups) != 1 || len(b.lookups) != 1 {
		t.Errorf("look-ups: %v, %v, %v", literal.lookups, a.lookups, b.lookups)
	}
	want := func(u *users, name string, addrs ...string) {
		t.Helper()
		got := u.addrs()
		if len(got) != len(addrs) || len(u.used) != len(addrs) {
			t.Errorf("%s uses %v", name, u.used)
		}
		for _, s := range addrs {
			if !got[netip.AddrPortFrom(netip.MustParseAddr(s), 123)] {
				t.Errorf("%s lacks %s, uses %v", name, s, u.used)
			}
		}
	}
	want(literal, "the server", "192.0.2.2")
	want(a, "a", "192.0.2.1", "192.0.2.3")
	want(b, "b", "2001:db8::1")
	a.pool.Close()
	b.run(time.Hour)
	if len(b.addrs()) != 2 || b.pool.NextWake() != clock.Never {
		t.Errorf("b uses %v after a was closed", b.used)
	}
}

func TestPoolReplaces(t *testing.T) {
	u := newUsers(ntp.PoolConfig{Name: "pool.example", Size: 1, Port: 1123}, ntp.NewDirectory(), "192.0.2.1")
	u.run(time.Minute)
	first := u.used[0]
	if first != netip.MustParseAddrPort("192.0.2.1:1123") || u.pool.NextWake() != clock.Never {
		t.Fatalf("uses %v, to be woken at %d", u.used, u.pool.NextWake())
	}
	u.pool.Replace(u.now, 0)
	u.run(time.Minute)
	if a, ok := u.pool.Server(0); a != first || !ok || u.uses != 1 {
		t.Errorf("the only server was replaced: %v", u.used)
	}
	if n := len(u.lookups); n < 3 || n > 8 {
		t.Errorf("%d look-ups", n)
	}
	u.pool.Keep(0)
	n := len(u.lookups)
	u.run(time.Hour)
	if len(u.lookups) != n {
		t.Error("looked up although nothing is lacking")
	}
	u.pool.Replace(u.now, 0)
	u.set("192.0.2.1", "192.0.2.9")
	u.run(time.Minute)
	if u.used[0].Addr() != netip.MustParseAddr("192.0.2.9") || u.pool.NextWake() != clock.Never {
		t.Errorf("uses %v", u.used)
	}
	u.pool.Replace(u.now, 0)
	u.run(time.Minute)
	if u.uses != 2 {
		t.Errorf("went back to a bad server: %v", u.used)
	}
	u.pool.Replace(u.now, -1)
	u.pool.Replace(u.now, 1)
	u.pool.Keep(7)
}

func TestPoolBacksOff(t *testing.T) {
	u := newUsers(ntp.PoolConfig{Name: "gone.example", Size: 4}, ntp.NewDirectory())
	failure := errors.New("no such host")
	u.zone = func() ([]netip.Addr, error) { return nil, failure }
	u.run(24 * time.Hour)
	if n := len(u.lookups); n < 20 || n > 40 {
		t.Errorf("%d look-ups in a day", n)
	}
	if !errors.Is(u.pool.Err(), failure) || u.pool.Resolving() {
		t.Errorf("error %v, resolving %v", u.pool.Err(), u.pool.Resolving())
	}
	u.set("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5")
	u.pool.NetworkChanged(u.now)
	u.run(5 * time.Second)
	if len(u.addrs()) != 4 || u.pool.Err() != nil {
		t.Errorf("uses %v, error %v", u.used, u.pool.Err())
	}
}

// A look-up that is never answered is made again.
func TestPoolLookupWithoutAnswer(t *testing.T) {
	u := newUsers(ntp.PoolConfig{Name: "slow.example"}, ntp.NewDirectory())
	for range 200 {
		u.now += 1e9
		u.pool.Wake(u.now)
	}
	if n := len(u.lookups); n < 2 || n > 4 {
		t.Errorf("%d look-ups", n)
	}
}

func TestPoolIsBounded(t *testing.T) {
	u := newUsers(ntp.PoolConfig{Name: "huge.example", Size: 1000}, ntp.NewDirectory())
	u.zone = func() (list []netip.Addr, err error) {
		for i := range 5000 {
			list = append(list, netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)))
		}
		return list, nil
	}
	u.run(time.Hour)
	if u.pool.Size() != 64 || len(u.addrs()) != 64 {
		t.Errorf("%d slots, %d servers", u.pool.Size(), len(u.addrs()))
	}
	for range 1000 {
		u.pool.Replace(u.now, 3)
		u.run(time.Minute)
	}
	if len(u.addrs()) != 64 {
		t.Errorf("%d servers", len(u.addrs()))
	}
}

// A host without IPv6 finds a name that has both kinds of address: it takes those that it can send to, whether that is seen at
// once or later.
func TestPoolLeavesWhatItCannotSendTo(t *testing.T) {
	for _, opening := range []time.Duration{0, 300 * time.Millisecond} {
		v6, v4 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
		for _, addrs := range [][]string{{"2001:db8::1", "192.0.2.1"}, {"192.0.2.1", "2001:db8::1"}} {
			u := newUsers(ntp.PoolConfig{Name: "dual.example"}, ntp.NewDirectory(), addrs...)
			u.mute, u.opening = map[netip.Addr]bool{v6: true}, opening
			u.run(time.Minute)
			if u.used[0].Addr() != v4 || u.pool.NextWake() != clock.Never {
				t.Errorf("uses %v", u.used)
			}
			u.pool.Replace(u.now, 0) // there is no other, so it stays
			u.run(time.Minute)
			if u.used[0].Addr() != v4 {
				t.Errorf("uses %v in place of a server that could be sent to", u.used)
			}
		}
		u := newUsers(ntp.PoolConfig{Name: "dual.example"}, ntp.NewDirectory(), "2001:db8::1", "192.0.2.1")
		u.mute, u.opening = map[netip.Addr]bool{v6: true, v4: true}, opening
		u.run(time.Minute)
		if _, ok := u.pool.Server(0); !ok || len(u.lookups) < 3 || len(u.lookups) > 7 || u.uses > 50 {
			t.Errorf("without a network: has a server: %v; %d look-ups, %d uses", ok, len(u.lookups), u.uses)
		}
		u.mute = nil
		u.pool.NetworkChanged(u.now)
		u.run(time.Minute)
		if u.pool.NextWake() != clock.Never {
			t.Error("still lacking a server when there is a network")
		}
	}
}

// The answer of a look-up is not made use of for ever: what it named may be another host by now.
func TestPoolDoesNotTakeOldAnswers(t *testing.T) {
	u := newUsers(ntp.PoolConfig{Name: "pool.example"}, ntp.NewDirectory(), "192.0.2.1", "192.0.2.2")
	u.run(time.Minute)
	u.set("192.0.2.3")
	u.run(2 * time.Hour)
	n := len(u.lookups)
	u.pool.Replace(u.now, 0)
	if u.uses != 1 {
		t.Errorf("replaced by %v, found two hours ago", u.used)
	}
	u.run(10 * time.Second)
	if u.used[0].Addr() != netip.MustParseAddr("192.0.2.3") || len(u.lookups) != n+1 {
		t.Errorf("uses %v after %d look-ups more", u.used, len(u.lookups)-n)
	}
}
