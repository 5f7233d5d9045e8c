// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// desk drives a host that has a system clock and no network. The files of the walls follow the clock.
type desk struct {
	*Host
	t     *testing.T
	now   clock.Mono
	ahead float64 // of the clock, ns
	ppb   float64
	walls []string
	lies  []int64
}

const deskTrue = int64(1_780_000_000e9) // the right time at 0, ns since 1970 UTC

var errNoNetwork = errors.New("no network")

func (d *desk) read() clock.Timestamp {
	return clock.At(clock.System, deskTrue+int64(d.now)+int64(d.ahead))
}
func (d *desk) SendEvent(int, []byte) (uint32, error) { return 0, errNoNetwork }
func (d *desk) Connect(int, netip.AddrPort) error     { return errNoNetwork }
func (d *desk) Rebind(int)                            {}
func (d *desk) Resolve(int, string)                   {}
func (d *desk) PortSocket(int) status.Socket          { return status.Socket{} }
func (d *desk) AssociationSocket(int) status.Socket   { return status.Socket{} }
func (d *desk) Overrun() uint64                       { return 0 }
func (d *desk) Compare(_, _ clock.ID)                 {}
func (d *desk) SetKernel(clock.Status)                {}
func (d *desk) Event(e status.Event)                  { d.t.Logf("%v %s", time.Duration(d.now), e.Text()) }
func (d *desk) SendNTP(int, []byte) (uint32, clock.Timestamp, error) {
	return 0, clock.Timestamp{}, errNoNetwork
}

func (d *desk) SetFrequency(_ clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	d.ppb = ppb
	return ppb, d.read(), nil
}

func (d *desk) Step(_ clock.ID, by time.Duration) (clock.Timestamp, error) {
	at := d.read()
	d.ahead += float64(by)
	return at, nil
}

// run lets time pass until end. The files say how the clock is once a second, just before they are read.
func (d *desk) run(end time.Duration) {
	for at := d.NextWake(); at < clock.Mono(end); at = d.NextWake() {
		at = max(at, d.now)
		if at.Sub(d.now) > 0 && int64(at)/1e9 != int64(d.now)/1e9 {
			d.write(at)
		}
		d.advance(at)
		d.Wake(d.now)
	}
}

func (d *desk) advance(to clock.Mono) {
	d.ahead += d.ppb * to.Sub(d.now).Seconds()
	d.now = to
}

func (d *desk) write(at clock.Mono) {
	d.advance(at)
	for i, file := range d.walls {
		if err := os.WriteFile(file, []byte(strconv.FormatInt(int64(d.ahead)+d.lies[i], 10)), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// TestNewKindOfSource adds a kind of source that nothing but its own file and the line that registers it knows of: it is
// judged, followed, combined and shown like any other.
func TestNewKindOfSource(t *testing.T) {
	dir := t.TempDir()
	d := &desk{t: t, now: 1, ahead: 5e6, lies: []int64{0, 100_000, 50e6}}
	for _, name := range []string{"a", "b", "liar"} {
		d.walls = append(d.walls, filepath.Join(dir, name))
	}
	cfg := configs.Default()
	cfg.Selection.PreferKinds = []string{"wall"}
	d.Host = New(cfg, Env{Rand: rand.New(rand.NewPCG(1, 2)), Env: engine.Env{Start: d.now}}, d)
	d.addWall(d.walls...)
	d.write(d.now)
	d.AddClock(d.now, engine.ClockInfo{ID: clock.System, Scale: clock.UTC, Steer: true, MaxFrequency: 500000, Reading: d.read()})
	d.run(5 * time.Minute)

	s := d.Snapshot(d.now, time.Unix(0, deskTrue), nil)
	if s.State != status.Locked || d.ahead < -120_000 || d.ahead > 20_000 {
		t.Errorf("%s: %s; %.0f ns ahead", s.State, s.Reason, d.ahead)
	}
	states := map[string]string{}
	for _, o := range s.Sources {
		states[filepath.Base(o.Name)] = o.State
		if o.Kind != "wall" || o.Reference != "the wall" || o.Samples < 280 || string(o.ID) != "wall:"+o.Name {
			t.Errorf("shown as %+v", o)
		}
	}
	selected, combined, outvoted := source.Selected.String(), source.Combined.String(), source.Falseticker.String()
	if states["liar"] != outvoted || states["a"]+states["b"] != selected+combined && states["a"]+states["b"] != combined+selected {
		t.Errorf("states %v", states)
	}

	for i := range d.walls {
		d.lies[i] = 0
	}
	d.run(6 * time.Minute)
	if s := d.Snapshot(d.now, time.Unix(0, deskTrue), nil); s.Sources[2].State == outvoted {
		t.Errorf("the third still is %s: %s", s.Sources[2].State, s.Sources[2].Reason)
	}
}
