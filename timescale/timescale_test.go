// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"crypto/sha1"
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

const second = time.Second

// clocks are those of a host whose system clock reads utc at 0.
type clocks struct {
	utc         int64
	free        bool // it is not steered
	untrusted   bool // it has not been locked
	uncertainty time.Duration
	leaps       []string
}

func (c *clocks) Frequency(now clock.Mono, id clock.ID) (clock.Timestamp, float64, bool) {
	return clock.At(id, c.utc+int64(now)), 0, id == clock.System && c.utc != 0
}
func (c *clocks) Steers(clock.ID) bool  { return !c.free }
func (c *clocks) Trusted(clock.ID) bool { return !c.untrusted }
func (c *clocks) LeapSecond(_ clock.Mono, l clock.Leap) {
	c.leaps = append(c.leaps, fmt.Sprint("done ", l))
}
func (c *clocks) NoLeapSecond(l clock.Leap)         { c.leaps = append(c.leaps, fmt.Sprint("undone ", l)) }
func (c *clocks) SetUTCUncertainty(d time.Duration) { c.uncertainty = d }

// rig is a keeper with such clocks, and the kinds of events that it has told of.
type rig struct {
	*Keeper
	clocks *clocks
	told   []EventKind
}

func newRig(cfg Config, c *clocks) *rig {
	r := &rig{clocks: c}
	r.Keeper = New(cfg, c, func(_ clock.Mono, e Event) { r.told = append(r.told, e.Kind) })
	return r
}

func at(text string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

// list is a leap-seconds list with the last one at the beginning of 2017, and one more if given, that expires then.
func list(t *testing.T, expires string, more ...string) *clock.LeapTable {
	t.Helper()
	ntp := func(day string) int64 { return at(day+" 00:00:00")/1e9 + 2208988800 }
	numbers := []int64{ntp("2016-07-08"), ntp(expires), ntp("2015-07-01"), 36, ntp("2017-01-01"), 37}
	for _, day := range more {
		numbers = append(numbers, ntp(day), 38)
	}
	text := fmt.Sprintf("#$ %d\n#@ %d\n", numbers[0], numbers[1])
	hash := sha1.New()
	for i, n := range numbers {
		fmt.Fprint(hash, n)
		if i > 1 && i%2 == 0 {
			text += fmt.Sprintln(n, numbers[i+1])
		}
	}
	sum := hash.Sum(nil)
	text += fmt.Sprintf("#h %x %x %x %x %x\n", sum[:4], sum[4:8], sum[8:12], sum[12:16], sum[16:])
	l, err := clock.ParseLeapSeconds("list", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// grandmaster is a configured source on TAI that states an offset; server is one on UTC.
func grandmaster(name string, offset int) Witness {
	return Witness{Name: name, Claim: Claim{Scale: clock.TAI, Offset: offset, OffsetValid: true}, Configured: true,
		Followable: true,
		Usable:     true, Agrees: true}
}

func server(name string) Witness {
	return Witness{Name: name, Claim: Claim{Scale: clock.UTC}, Configured: true, Followable: true, Usable: true, Agrees: true}
}

func (w Witness) with(change func(*Witness)) Witness {
	change(&w)
	return w
}

func leads(w *Witness)        { w.Leads = true }
func falseticker(w *Witness)  { w.Falseticker, w.Agrees = true, false }
func unconfigured(w *Witness) { w.Configured = false }
func unfollowable(w *Witness) { w.Followable = false }
func unusable(w *Witness)     { w.Usable = false }
func suspect(w *Witness)      { w.Suspect = true }
func invalid(w *Witness)      { w.Claim.OffsetValid = false }
func inserts(w *Witness)      { w.Claim.Leap = clock.LeapInsert }
func deletes(w *Witness)      { w.Claim.Leap = clock.LeapDelete }

func off(ns float64, at clock.Mono) func(*Witness) {
	return func(w *Witness) { w.Residual, w.At, w.HasResidual = ns, at, true }
}

func TestOffsetOrigin(t *testing.T) {
	now := at("2026-06-15 12:00:00")
	for _, c := range []struct {
		name      string
		cfg       Config
		list      string // when it expires, none if empty
		witnesses []Witness
		want      string
	}{
		{name: "nothing", want: "0 false unknown"},
		{name: "state file", cfg: Config{Saved: 36}, want: "36 true state file"},
		{name: "configuration before the state file", cfg: Config{Saved: 36, Offset: 35}, want: "35 true configuration"},
		{name: "list before the configuration", cfg: Config{Offset: 35}, list: "2026-12-28",
			want: "37 true leap-seconds list FILE"},
		{name: "an expired list before the configuration", cfg: Config{Offset: 35}, list: "2020-12-28",
			want: "37 true leap-seconds list FILE"},
		{name: "source before the list", list: "2026-12-28", witnesses: []Witness{grandmaster("a", 38)}, want: "38 true source a"},
		{name: "the leader before others", witnesses: []Witness{grandmaster("a", 36), grandmaster("b", 37).with(leads)},
			want: "37 true source b"},
		{name: "not one that is outvoted", witnesses: []Witness{grandmaster("a", 36).with(falseticker)}, want: "0 false unknown"},
		{name: "not one that is only watched", witnesses: []Witness{grandmaster("a", 36).with(unfollowable)},
			want: "0 false unknown"},
		{name: "not one that is invalid", witnesses: []Witness{grandmaster("a", 36).with(invalid)}, want: "0 false unknown"},
		{name: "not one below 0", witnesses: []Witness{grandmaster("a", -1)}, want: "0 false unknown"},
		{name: "one of 0", witnesses: []Witness{grandmaster("a", 0)}, want: "0 true source a"},
		{name: "one of 255", witnesses: []Witness{grandmaster("a", 255)}, want: "255 true source a"},
		{name: "not one of 256", witnesses: []Witness{grandmaster("a", 256)}, want: "0 false unknown"},
		{name: "an unconfigured one last", cfg: Config{Saved: 36}, witnesses: []Witness{grandmaster("a", 37).with(unconfigured)},
			want: "36 true state file"},
		{name: "an unconfigured one alone", witnesses: []Witness{grandmaster("a", 37).with(unconfigured)},
			want: "37 true source a"},
		{name: "servers state nothing", witnesses: []Witness{server("a").with(leads)}, want: "0 false unknown"},
	} {
		if c.list != "" {
			c.cfg.Leaps, c.cfg.ListName = list(t, c.list), "FILE"
		}
		r := newRig(c.cfg, &clocks{utc: now})
		r.Review(0, c.witnesses)
		o := r.Offset()
		if got := fmt.Sprint(o.Seconds, o.Known, o.Origin); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestListByTAI takes the offset for the time that a source tells, not for that of a system clock that is decades off.
func TestListByTAI(t *testing.T) {
	r := newRig(Config{Leaps: list(t, "2026-12-28")}, &clocks{utc: at("2016-01-01 00:00:00")})
	r.Review(0, nil)
	if got := r.Offset().Seconds; got != 36 {
		t.Errorf("by the system clock: %d", got)
	}
	r = newRig(Config{Leaps: list(t, "2026-12-28")}, &clocks{utc: at("2016-01-01 00:00:00")})
	r.Review(0, []Witness{grandmaster("a", 0).with(invalid).with(func(w *Witness) {
		w.HasTAI, w.TAI = true,
			at("2026-06-01 00:00:37")
	})})
	if got := r.Offset().Seconds; got != 37 {
		t.Errorf("by the source's time: %d", got)
	}
}

// TestDisputedOffset has another offset stated once the clocks are locked.
func TestDisputedOffset(t *testing.T) {
	for _, c := range []struct {
		name      string
		untrusted bool
		beside    []Witness
		at        time.Duration // when the new one is in force, -1 if never within 10 minutes
	}{
		{name: "nobody contradicts", at: disputeHold},
		{name: "a server agrees with the host", beside: []Witness{server("s")}, at: -1},
		{name: "a server that is lost", beside: []Witness{server("s").with(unusable)}, at: disputeHold},
		{name: "a server that is outvoted", beside: []Witness{server("s").with(falseticker)}, at: disputeHold},
		{name: "before the first lock", untrusted: true, beside: []Witness{server("s")}, at: 0},
	} {
		r := newRig(Config{}, &clocks{utc: at("2026-06-15 12:00:00"), untrusted: c.untrusted})
		r.Review(0, append([]Witness{grandmaster("a", 37)}, c.beside...))
		changed := time.Duration(-1)
		for s := time.Duration(0); s <= 600*second && changed < 0; s += second {
			r.Review(clock.Mono(second+s), append([]Witness{grandmaster("a", 36)}, c.beside...))
			if r.Offset().Seconds == 36 {
				changed = s
			}
		}
		if changed != c.at {
			t.Errorf("%s: in force after %v, want %v; told %v", c.name, changed, c.at, r.told)
		}
	}
}

// TestDisputeEnds: the time of an offset that is taken back does not count for the next one.
func TestDisputeEnds(t *testing.T) {
	r := newRig(Config{}, &clocks{utc: at("2026-06-15 12:00:00")})
	now := clock.Mono(0)
	state := func(offset int, d time.Duration) {
		for end := now.Add(d); now < end; now = now.Add(second) {
			r.Review(now, []Witness{grandmaster("a", offset)})
		}
	}
	state(37, 10*second)
	state(36, disputeHold-5*second)
	state(37, 2*second)
	state(36, disputeHold-5*second)
	if r.Offset().Seconds != 37 {
		t.Error("an offset that was taken back is in force")
	}
	state(36, 10*second)
	if r.Offset().Seconds != 36 {
		t.Error("an offset that is stated for long enough is not in force")
	}
}

// TestDiscreditedOrigin drops an offset whose source turns out to be wrong, unless the clock has been locked by it.
func TestDiscreditedOrigin(t *testing.T) {
	for _, untrusted := range []bool{true, false} {
		r := newRig(Config{Saved: 37}, &clocks{utc: at("2026-06-15 12:00:00"), untrusted: untrusted})
		r.Review(0, []Witness{grandmaster("a", 36)})
		r.Review(1, []Witness{grandmaster("a", 36).with(falseticker)})
		want := 36
		if untrusted {
			want = 37
		}
		if got := r.Offset(); got.Seconds != want {
			t.Errorf("not locked %v: %+v, want %d s", untrusted, got, want)
		}
	}
}

func TestOffsetToSave(t *testing.T) {
	for want, c := range map[int]struct {
		cfg       Config
		witnesses []Witness
	}{
		38: {Config{Saved: 36}, []Witness{grandmaster("a", 38)}},
		36: {Config{Saved: 36, Offset: 35}, nil},
		0:  {Config{Offset: 35}, nil},
		12: {Config{Saved: 12}, []Witness{grandmaster("a", 37).with(unconfigured)}},
	} {
		r := newRig(c.cfg, &clocks{utc: at("2026-06-15 12:00:00")})
		r.Review(0, c.witnesses)
		if got := r.OffsetToSave(); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	r := newRig(Config{}, &clocks{utc: at("2026-06-15 12:00:00")})
	r.Review(0, []Witness{grandmaster("a", 37).with(unconfigured)})
	if got := r.OffsetToSave(); got != 0 {
		t.Errorf("%d s by a source that nobody has configured", got)
	}
}

// TestOffsetFor: as long as no offset is in force, a source's own relates its time; afterwards the one in force does.
func TestOffsetFor(t *testing.T) {
	r, w := newRig(Config{}, &clocks{}), grandmaster("a", 36)
	if s, known := r.OffsetFor(&w); s != 36 || !known {
		t.Errorf("%d, %v", s, known)
	}
	r.Review(0, []Witness{grandmaster("b", 37)})
	if s, known := r.OffsetFor(&w); s != 37 || !known {
		t.Errorf("%d, %v with an offset in force", s, known)
	}
}

func TestAdopt(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{{Config{Saved: 37}, "state file"}, {Config{Offset: 37}, "unknown"}} {
		old := newRig(c.cfg, &clocks{utc: at("2026-06-30 12:00:00")})
		old.Review(0, nil)
		old.CheckLeap(0, true, []Witness{server("a").with(inserts)})
		r := newRig(Config{}, &clocks{})
		r.Adopt(old.Keeper)
		if got := r.Offset().Origin.String(); got != c.want || r.Armed() != clock.LeapInsert {
			t.Errorf("%q, want %q; armed %d", got, c.want, r.Armed())
		}
	}
}
