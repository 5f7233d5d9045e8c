// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
)

// exampleNetwork joins a client and a server in virtual time. Each message takes 1 ms, and the client's clock is 20 ms
// ahead.
type exampleNetwork struct {
	now    clock.Mono
	server *ntptest.Server
	answer []byte
}

// serverTime is what the server's clock reads, in nanoseconds since 1970 UTC.
func (n *exampleNetwork) serverTime() int64 { return 1_700_000_000e9 + int64(n.now) }

func (n *exampleNetwork) clientTime() clock.Timestamp {
	return clock.At(clock.System, n.serverTime()+int64(20*time.Millisecond))
}

func (n *exampleNetwork) Send(b []byte) (id uint32, sent clock.Timestamp, err error) {
	at := n.serverTime() + int64(time.Millisecond)
	n.answer = slices.Clone(n.server.Respond(b, at, at))
	return 1, n.clientTime(), nil
}

func (n *exampleNetwork) Measured(m *ntp.Measurement) {
	fmt.Printf("offset %v, delay %v, stratum %d\n", m.Offset, m.Delay, m.Stratum)
}

func (n *exampleNetwork) Rebind()               {}
func (n *exampleNetwork) Replace(why string)    { fmt.Println("the server is of no use:", why) }
func (n *exampleNetwork) FalseKiss(code string) { fmt.Println("ignored kiss-o'-death", code) }

// A client asks a server three times, once every 16 s.
func ExampleClient() {
	network := &exampleNetwork{server: ntptest.New()}
	client := ntp.NewClient(ntp.Config{MinPoll: 4, MaxPoll: 4, Clock: clock.System}, rand.New(rand.NewPCG(1, 2)), network)
	client.Reset(0)
	for range 3 {
		network.now = client.NextWake()
		sent := network.clientTime()
		client.Wake(network.now)
		client.Transmitted(network.now, 1, sent)
		network.now = network.now.Add(2 * time.Millisecond)
		if err := client.Receive(network.now, network.answer, network.clientTime()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// offset 20ms, delay 2ms, stratum 1
	// offset 20ms, delay 2ms, stratum 1
	// offset 20ms, delay 2ms, stratum 1
}
