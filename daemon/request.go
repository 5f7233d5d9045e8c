// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"slices"

	"github.com/lockstep-time/lockstep/clock"
)

// request is something to be done that may wait for a driver, the kernel or a lock, and so is not done by the loop.
type request struct {
	// what names a request of interfaces: none is made while one of the same name waits for its turn. Empty: any number.
	what string
	// wanted is asked right before a request of interfaces begins; it is left out if that is false. Nil: it is wanted.
	wanted func() bool
	// closes: it closes sockets, and so is done before the daemon ends.
	closes bool
	// do does it, in a goroutine of its own.
	do func()
	// done is called by the loop afterwards; nil: there is nothing to be done.
	done func(now clock.Mono)

	finished chan struct{} // closed when do has returned
}

// interfaces has the requests that concern interfaces, NICs and PHCs. They are served one at a time, in the order in which they
// were made: ports share NICs, NICs share PHCs, a device has to be closed before it can be locked again, and the kernel
// serves most of it one at a time as well. done of one is called before the next one begins.
type interfaces struct {
	waiting  []*request
	underWay *request
}

// idle reports whether nothing is under way and nothing waits.
func (i *interfaces) idle() bool { return i.underWay == nil && len(i.waiting) == 0 }

// ask makes a request of interfaces. It begins when the event that is being handled has been, at the earliest.
func (d *Daemon) ask(r *request) {
	same := func(w *request) bool { return r.what != "" && w.what == r.what }
	if !slices.ContainsFunc(d.interfaces.waiting, same) {
		d.interfaces.waiting = append(d.interfaces.waiting, r)
	}
}

// proceed begins the next request of interfaces, and tidies where there is none.
func (d *Daemon) proceed(now clock.Mono) {
	i := &d.interfaces
	for i.underWay == nil && d.ctx.Err() == nil {
		if len(i.waiting) == 0 && d.untidy {
			d.untidy = false
			d.tidy(now)
		}
		if len(i.waiting) == 0 {
			return
		}
		r := i.waiting[0]
		i.waiting = i.waiting[1:]
		if r.wanted == nil || r.wanted() {
			i.underWay = r
			d.begin(r)
		}
	}
}

// begin begins a request, and has the loop call its done.
func (d *Daemon) begin(r *request) {
	r.finished = make(chan struct{})
	d.underWay[r] = true
	d.workers.Go(func() {
		r.do()
		close(r.finished)
		d.call(func(now clock.Mono) { d.finish(now, r) })
	})
}

func (d *Daemon) finish(now clock.Mono, r *request) {
	delete(d.underWay, r)
	if d.interfaces.underWay == r {
		d.interfaces.underWay = nil
	}
	if r.done != nil {
		r.done(now)
	}
}

// drain waits for what is under way when the daemon ends. What it opens is there to be closed afterwards. Nothing else begins.
func (d *Daemon) drain(now clock.Mono) {
	for r := range d.underWay {
		<-r.finished
		d.finish(now, r)
	}
}

// closeWaiting closes what waits for being closed.
func (d *Daemon) closeWaiting() {
	for _, r := range d.interfaces.waiting {
		if r.closes {
			r.do()
		}
	}
	d.interfaces.waiting = nil
}
