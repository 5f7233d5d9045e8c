// SPDX-License-Identifier: Apache-2.0

package hwts_test

import (
	"fmt"
	"net/netip"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
)

// stamps prints what it is told.
type stamps struct{ received chan struct{} }

func (s *stamps) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	fmt.Printf("%q of %v arrived at %d ns\n", b, from, ts.Nanoseconds())
	s.received <- struct{}{}
}

func (s *stamps) Transmitted(id uint32, ts clock.Timestamp) {
	fmt.Printf("datagram %d left at %d ns\n", id, ts.Nanoseconds())
}

// A socket on loopback sends to itself. The kernel stamps the datagram when it leaves and when it arrives.
func ExampleConn() {
	conn, err := hwts.Listen(hwts.Config{Network: hwts.UDP4, Address: netip.MustParseAddr("127.0.0.1"), Stamps: hwts.Kernel})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &stamps{received: make(chan struct{}, 1)}
	served := make(chan error)
	go func() { served <- conn.Serve(s) }()
	if _, err := conn.Send([]byte("hello"), hwts.UDPAddr(conn.LocalAddr())); err != nil {
		fmt.Println(err)
	} else {
		<-s.received
	}
	_ = conn.Close()
	<-served
}
