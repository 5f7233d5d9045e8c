// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/internal/nstest"
)

// signals is a Handler that does nothing but say so.
type signals struct{ received, transmitted chan struct{} }

func (s *signals) Received([]byte, Addr, clock.Timestamp) { s.received <- struct{}{} }
func (s *signals) Transmitted(uint32, clock.Timestamp)    { s.transmitted <- struct{}{} }

// exchanger returns a function that sends a datagram and waits for its transmit stamp and for itself.
func exchanger(t testing.TB, config Config) func() {
	c, err := Listen(config)
	if errors.Is(err, unix.EPERM) {
		t.Skipf("this takes CAP_NET_RAW: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &signals{make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); c.Serve(s) }()
	t.Cleanup(func() { c.Close(); <-done })
	b, self := make([]byte, 44), MACAddr(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	if config.Network != Ethernet {
		self = to(c, loopback(config.Network))
	}
	return func() {
		if _, err := c.Send(b, self); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < 2; got++ {
			select {
			case <-s.received:
			case <-s.transmitted:
			}
		}
	}
}

func udpConfigs() []Config {
	return []Config{{Network: UDP4, Interface: "lo", Stamps: Kernel}, {Network: UDP6, Interface: "lo", Stamps: Kernel}}
}

func ethernetConfig() Config { return Config{Network: Ethernet, Interface: "lo", Stamps: Kernel} }

func TestExchangesAllocateNothing(t *testing.T) {
	for _, config := range udpConfigs() {
		requireIPv6(t, config.Network)
		allocatesNothing(t, config)
	}
}

func TestEthernetExchangesAllocateNothing(t *testing.T) {
	nstest.Run(t, func(t *testing.T) { allocatesNothing(t, ethernetConfig()) })
}

func allocatesNothing(t *testing.T, config Config) {
	t.Helper()
	exchange := exchanger(t, config)
	exchange()
	if n := testing.AllocsPerRun(500, exchange); n != 0 {
		t.Errorf("%v: %v allocations per datagram sent, stamped, received", config.Network, n)
	}
}

// BenchmarkExchange is a datagram sent, its transmit stamp, and the datagram received with its stamp.
func BenchmarkExchange(b *testing.B) {
	for _, config := range append(udpConfigs(), ethernetConfig()) {
		b.Run(config.Network.String(), func(b *testing.B) {
			exchange := exchanger(b, config)
			b.ReportAllocs()
			for b.Loop() {
				exchange()
			}
		})
	}
}

// BenchmarkSend is a datagram sent to nobody.
func BenchmarkSend(b *testing.B) {
	c, err := Listen(Config{Network: UDP4, Interface: "lo"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	other, err := Listen(Config{Network: UDP4, Interface: "lo"})
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	buffer, peer := make([]byte, 44), to(other, loopback(UDP4))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(buffer, peer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseControl(b *testing.B) {
	m := message(1, 0x41, stampData(1, 2, 3, 4))
	b.ReportAllocs()
	for b.Loop() {
		if parseControl(m).hardware == 0 {
			b.Fatal("no stamp")
		}
	}
}
