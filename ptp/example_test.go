// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// exampleCable joins a client and a grandmaster in virtual time. Each message takes 500 ns, and the client's clock is 1.5 µs
// ahead.
type exampleCable struct {
	now    clock.Mono
	client *ptp.Port
	master *ptptest.Master
	events []func() // what is to be told to the two: they must not be called while they send
}

const cableDelay, clientAhead = 500 * time.Nanosecond, 1500 * time.Nanosecond

// run tells both what is due, and then what came of it.
func (c *exampleCable) run(end clock.Mono) {
	for ; c.now < end; c.now = min(c.client.NextWake(), c.master.NextWake()) {
		c.client.Wake(c.now)
		c.master.Wake(c.now)
		for len(c.events) > 0 {
			next := c.events[0]
			c.events = c.events[1:]
			next()
		}
	}
}

// masterTime and clientTime return what the clocks read after so long.
func (c *exampleCable) masterTime(after time.Duration) clock.Timestamp {
	return clock.At(clock.PHC(1), 1_700_000_000e9+int64(c.now.Add(after)))
}

func (c *exampleCable) clientTime(after time.Duration) clock.Timestamp {
	return clock.At(clock.PHC(0), c.masterTime(after+clientAhead).Nanoseconds())
}

// exampleClient is the client's end.
type exampleClient struct{ *exampleCable }

func (c exampleClient) SendEvent(b []byte) (uint32, error) {
	b, left, arrived := slices.Clone(b), c.clientTime(0), c.masterTime(cableDelay)
	c.events = append(c.events, func() { c.master.Receive(c.now, b, arrived) },
		func() { c.client.Transmitted(c.now, 0, left) })
	return 0, nil
}

func (c exampleClient) Measured(*ptp.Measurement)                {}
func (c exampleClient) ParentChanged(*ptp.Parent)                {}
func (c exampleClient) Conflict(what string)                     { fmt.Println("two masters:", what) }
func (c exampleClient) StateChanged(_, to ptp.State, why string) { fmt.Printf("%v: %s\n", to, why) }

// exampleMaster is the grandmaster's end.
type exampleMaster struct{ *exampleCable }

func (m exampleMaster) SendEvent(b []byte) (uint32, error) {
	b, left, arrived := slices.Clone(b), m.masterTime(0), m.clientTime(cableDelay)
	m.events = append(m.events, func() { m.client.Receive(m.now, b, arrived, ptp.Address{}) },
		func() { m.master.Transmitted(m.now, 0, left) })
	return 0, nil
}

func (m exampleMaster) SendGeneral(b []byte) error {
	b = slices.Clone(b)
	m.events = append(m.events, func() { m.client.Receive(m.now, b, clock.Timestamp{}, ptp.Address{}) })
	return nil
}

func (m exampleMaster) Time() int64 { return m.masterTime(0).Nanoseconds() }

// A port follows a grandmaster, and measures by how much its clock is ahead.
func ExampleInstance() {
	cable := &exampleCable{}
	instance := ptp.NewInstance(ptp.InstanceConfig{Identity: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 1})})
	cable.client = instance.AddPort(1, ptp.PortConfig{Clock: clock.PHC(0)}, rand.New(rand.NewPCG(1, 2)), exampleClient{cable})
	cable.master = ptptest.NewMaster(ptptest.Config{
		Identity: wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 2}), Port: 1},
	}, exampleMaster{cable})

	cable.run(clock.Mono(10 * time.Second))
	current, parent := instance.CurrentDS(), instance.ParentDS()
	fmt.Printf("offset %v, delay %v, %d step from grandmaster %v\n",
		current.OffsetFromMaster, current.MeanDelay, current.StepsRemoved, parent.Grandmaster)
	// Output:
	// uncalibrated: master chosen
	// slave: path delay measured
	// offset 1.5µs, delay 500ns, 1 step from grandmaster 020000.fffe.000002
}
