// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
)

// rig is a client, a server, and a network between them, in virtual time that begins at an instant of true time.
type rig struct {
	t      *testing.T
	now    clock.Mono
	epoch  int64
	rng    *rand.Rand
	client *ntp.Client
	server *ntptest.Server
	queue  []event

	// The client's clock is ahead by offset, and by ppb more with every second.
	offset time.Duration
	ppb    int64
	id     clock.ID

	// The network: delay = base + jitter·Exp(1) each way, loss as a probability, everything sent twice.
	base, jitter time.Duration
	loss         float64
	twice        bool
	// stampLag is the time from sending to the stamp of it; negative: no stamps.
	stampLag time.Duration
	// late is added to the time that an answer takes.
	late time.Duration
	// mangle changes answers on their way, if set.
	mangle func(b []byte)
	// forge answers a request in the server's place, if set and not nil, before the server can.
	forge func(request []byte) []byte
	// sendErr fails every Send.
	sendErr error
	// opening is how long it takes to make a socket, if not 0: the first one, and one after each Rebind. openErr is what comes
	// of it. until is when the one that is being made is there, 0 if none is.
	opening time.Duration
	openErr error
	open    bool
	until   clock.Mono

	nextID   uint32
	sent     []clock.Mono
	requests [][]byte
	samples  []ntp.Measurement
	taken    []clock.Mono
	errs     []error
	rebinds  int
	replaced []string
	lies     []string
	onSample func(*ntp.Measurement)
	onRebind func()
}

type event struct {
	at clock.Mono
	do func()
}

const userLatency = 7 * time.Microsecond

// unix returns an instant as RFC 3339 writes it in nanoseconds since 1970.
func unix(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

func newRig(t *testing.T, cfg ntp.Config) *rig {
	t.Helper()
	r := &rig{
		t: t, epoch: unix("2026-03-01T00:00:00Z"), now: 1e9, rng: rand.New(rand.NewPCG(1, 7)), server: ntptest.New(),
		base: 200 * time.Microsecond, stampLag: 100 * time.Microsecond, id: clock.System,
	}
	if cfg.Clock == 0 {
		cfg.Clock = clock.System
	}
	r.client = ntp.NewClient(cfg, rand.New(rand.NewPCG(3, 4)), r)
	return r
}

// trueTime at a monotonic instant, in nanoseconds since 1970 UTC.
func (r *rig) trueTime(m clock.Mono) int64 { return r.epoch + int64(m) }

// error of the client's clock at a monotonic instant.
func (r *rig) error(m clock.Mono) time.Duration {
	return r.offset + time.Duration(int64(m)/1000*r.ppb/1_000_000)
}

func (r *rig) read(m clock.Mono) clock.Timestamp {
	return clock.At(r.id, r.trueTime(m)+int64(r.error(m)))
}

func (r *rig) after(d time.Duration, do func()) { r.queue = append(r.queue, event{r.now.Add(d), do}) }

func (r *rig) delay() time.Duration {
	return r.base + time.Duration(r.rng.ExpFloat64()*float64(r.jitter))
}

func (r *rig) Send(b []byte) (uint32, clock.Timestamp, error) {
	if r.opening > 0 && !r.open {
		if r.until == 0 {
			r.until = r.now.Add(r.opening)
			r.after(r.opening, func() {
				r.open, r.until = r.openErr == nil, 0
				r.client.Connected(r.now, r.openErr)
			})
		}
		return 0, clock.Timestamp{}, ntp.ErrPending
	}
	r.sent = append(r.sent, r.now)
	if r.sendErr != nil {
		return 0, clock.Timestamp{}, r.sendErr
	}
	id, request := r.nextID, bytes.Clone(b)
	r.nextID++
	r.requests = append(r.requests, request)
	if r.stampLag >= 0 {
		ts := r.read(r.now.Add(userLatency))
		r.after(userLatency+r.stampLag, func() { r.client.Transmitted(r.now, id, ts) })
	}
	copies := 1
	if r.twice {
		copies = 2
	}
	if r.forge != nil {
		if b := r.forge(request); b != nil {
			r.after(userLatency+r.base/2, func() { r.receive(b) })
		}
	}
	for range copies {
		if r.rng.Float64() >= r.loss {
			r.after(userLatency+r.delay(), func() { r.serve(request) })
		}
	}
	return id, r.read(r.now), nil
}

func (r *rig) serve(request []byte) {
	const work = 30 * time.Microsecond
	answer := bytes.Clone(r.server.Respond(request, r.trueTime(r.now), r.trueTime(r.now.Add(work))))
	if answer == nil || r.rng.Float64() < r.loss {
		return
	}
	if r.mangle != nil {
		r.mangle(answer)
	}
	r.after(work+r.delay()+r.late, func() { r.receive(answer) })
}

func (r *rig) receive(answer []byte) {
	r.errs = append(r.errs, r.client.Receive(r.now, answer, r.read(r.now)))
}

func (r *rig) Measured(s *ntp.Measurement) {
	r.samples = append(r.samples, *s)
	r.taken = append(r.taken, r.now)
	if r.onSample != nil {
		r.onSample(s)
	}
}

func (r *rig) Rebind() {
	r.rebinds++
	r.open = false
	if r.onRebind != nil {
		r.onRebind()
	}
}

func (r *rig) Replace(why string) { r.replaced = append(r.replaced, why) }

func (r *rig) FalseKiss(code string) { r.lies = append(r.lies, code) }

// run lets virtual time pass.
func (r *rig) run(d time.Duration) {
	end := r.now.Add(d)
	for {
		next, which := r.client.NextWake(), -1
		for i, e := range r.queue {
			if e.at < next {
				next, which = e.at, i
			}
		}
		if next > end {
			r.now = end
			return
		}
		r.now = max(r.now, next)
		if which < 0 {
			r.client.Wake(r.now)
			continue
		}
		do := r.queue[which].do
		r.queue = append(r.queue[:which], r.queue[which+1:]...)
		do()
	}
}

func (r *rig) start(d time.Duration) {
	r.client.Reset(r.now)
	r.run(d)
}

// wantErr checks that some datagram was refused for that reason, and that Status counts it.
func (r *rig) wantErr(want ntp.Refusal) {
	r.t.Helper()
	n := uint64(0)
	for _, err := range r.errs {
		if errors.Is(err, want) {
			n++
		}
	}
	if got := r.client.Status().Refused[want]; got == 0 || got < n {
		r.t.Errorf("%v: returned %d times, counted %d", want, n, got)
	}
}
