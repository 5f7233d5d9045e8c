// SPDX-License-Identifier: Apache-2.0

package phctest

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/phc"
)

// Edge gives a channel's signal an edge, Rising or Falling, at what the clock reads now. It reports whether there was an
// event of it: the channel must have been asked for with that edge and be selected, and the queue of 128 events not be full.
func (c *Clock) Edge(channel int, edge phc.Edge) bool {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	flags := c.kernel.channels[uint32(channel)]
	if flags&uint32(edge) == 0 || flags&unix.PTP_EXT_OFFSET != 0 {
		return false
	}
	return c.kernel.deliver(unix.PtpExttsEvent{T: clockTime(c.kernel.register()), Index: uint32(channel)})
}

// Measure gives a channel an offset of its signal. It reports whether there was an event of it, as Edge does; the channel
// must have been asked for offsets.
func (c *Clock) Measure(channel int, offset time.Duration) bool {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	if c.kernel.channels[uint32(channel)]&unix.PTP_EXT_OFFSET == 0 {
		return false
	}
	return c.kernel.deliver(unix.PtpExttsEvent{T: clockTime(int64(offset)), Index: uint32(channel),
		Flags: unix.PTP_EXTTS_EVENT_VALID | unix.PTP_EXT_OFFSET})
}

// Stamping tells whether a channel is on.
func (c *Clock) Stamping(channel int) bool {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	return c.kernel.channels[uint32(channel)] != 0
}

// Outputs returns the periodic outputs that run, by channel, each as the kernel was asked for it.
func (c *Clock) Outputs() map[int]unix.PtpPeroutRequest {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	running := map[int]unix.PtpPeroutRequest{}
	for channel, r := range c.kernel.outputs {
		running[int(channel)] = r
	}
	return running
}

func (k *kernel) pin(req uint, p *unix.PtpPinDesc) error {
	if err := k.fault(CallPin); err != nil {
		return err
	}
	if int(p.Index) >= len(k.pins) {
		return unix.EINVAL
	}
	own := &k.pins[p.Index]
	if req == unix.PTP_PIN_GETFUNC {
		*p = *own
		return nil
	}
	for i := range k.pins {
		if k.pins[i].Func == p.Func && k.pins[i].Chan == p.Chan {
			k.pins[i].Func, k.pins[i].Chan = unix.PTP_PF_NONE, 0
		}
	}
	own.Func, own.Chan = p.Func, p.Chan
	return nil
}

// extts checks a request as ptp_chardev.c does, and the edges as a driver with strict flags.
func (k *kernel) extts(req uint, r unix.PtpExttsRequest) error {
	if err := k.fault(CallExtTS); err != nil {
		return err
	}
	on, edges := r.Flags&unix.PTP_ENABLE_FEATURE != 0, r.Flags&unix.PTP_EXTTS_EDGES
	if req == unix.PTP_EXTTS_REQUEST2 {
		if r.Flags&^unix.PTP_EXTTS_VALID_FLAGS != 0 || r.Rsv != [2]uint32{} || on && edges == 0 {
			return unix.EINVAL
		}
		r.Flags |= unix.PTP_STRICT_FLAGS
	} else {
		r.Flags &= unix.PTP_EXTTS_V1_VALID_FLAGS
	}
	if int(r.Index) >= k.config.Caps.ExtTS {
		return unix.EINVAL
	}
	if !on {
		delete(k.channels, r.Index)
		return nil
	}
	if fixed := uint32(k.config.Stamps); fixed != 0 && fixed != edges {
		if r.Flags&unix.PTP_STRICT_FLAGS != 0 {
			return unix.EOPNOTSUPP
		}
		r.Flags = r.Flags&^unix.PTP_EXTTS_EDGES | fixed
	}
	k.channels[r.Index] = r.Flags
	return nil
}

// mostChannels is the kernel's PTP_MAX_CHANNELS.
const mostChannels = 2048

func (k *kernel) selectNone() error {
	if err := k.fault(CallMask); err != nil {
		return err
	}
	k.selected = map[uint32]bool{}
	return nil
}

func (k *kernel) selectChannel(channel uint32) error {
	if err := k.fault(CallMask); err != nil {
		return err
	}
	if channel >= mostChannels {
		return unix.EFAULT
	}
	if k.selected != nil {
		k.selected[channel] = true
	}
	return nil
}

// deliver queues an event, if it is selected and there is room.
func (k *kernel) deliver(e unix.PtpExttsEvent) bool {
	if k.selected != nil && !k.selected[e.Index] {
		return false
	}
	select {
	case k.events <- e:
		return true
	default:
		return false
	}
}

func (k *kernel) perout(req uint, r unix.PtpPeroutRequest) error {
	if err := k.fault(CallPerOut); err != nil {
		return err
	}
	if req == unix.PTP_PEROUT_REQUEST2 {
		if err := checkPerout(r); err != nil {
			return err
		}
	} else {
		r.Flags, r.On = r.Flags&unix.PTP_PEROUT_V1_VALID_FLAGS, unix.PtpClockTime{}
	}
	if int(r.Index) >= k.config.Caps.PerOut {
		return unix.EINVAL
	}
	if nanoseconds(r.Period) == 0 {
		delete(k.outputs, r.Index)
	} else {
		k.outputs[r.Index] = r
	}
	return nil
}

// checkPerout checks a request as ptp_chardev.c does.
func checkPerout(r unix.PtpPeroutRequest) error {
	on, phase, period := nanoseconds(r.On), nanoseconds(r.StartOrPhase), nanoseconds(r.Period)
	duty := r.Flags&unix.PTP_PEROUT_DUTY_CYCLE != 0
	switch {
	case r.Flags&^unix.PTP_PEROUT_VALID_FLAGS != 0, !duty && on != 0:
		return unix.EINVAL
	case duty && on > period, r.Flags&unix.PTP_PEROUT_PHASE != 0 && phase >= period:
		return unix.ERANGE
	}
	return nil
}

func (k *kernel) Read(ctx context.Context, events []unix.PtpExttsEvent) (int, error) {
	if err := k.fault(CallEvents); err != nil || len(events) == 0 {
		return 0, err
	}
	select {
	case events[0] = <-k.events:
	case <-k.closed:
		return 0, os.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for n := 1; n < len(events); n++ {
		select {
		case events[n] = <-k.events:
		default:
			return n, nil
		}
	}
	return len(events), nil
}
