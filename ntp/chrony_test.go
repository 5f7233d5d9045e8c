// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

// freePort finds a port of loopback below those that the kernel gives to whoever asks for any
// (net.ipv4.ip_local_port_range): nobody comes by it by chance before it is bound again.
func freePort(t *testing.T) int {
	t.Helper()
	var err error
	for range 20 {
		var c *net.UDPConn
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 20_000 + rand.IntN(12_000)})
		if err == nil {
			defer c.Close()
			return c.LocalAddr().(*net.UDPAddr).Port
		}
	}
	t.Fatal(err)
	return 0
}

// startChronyd runs chronyd as a server on loopback that never touches a clock, and returns its address.
func startChronyd(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chronyd")
	if err != nil {
		path = "/usr/sbin/chronyd"
		if _, err := os.Stat(path); err != nil {
			t.Skip("chronyd is not installed")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	config := fmt.Sprintf("port %d\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 1\n"+
		"cmdport 0\nbindcmdaddress /\npidfile %s\n", port, filepath.Join(dir, "pid"))
	file := filepath.Join(dir, "chrony.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, path, "-x", "-d", "-U", "-u", me.Username, "-f", file)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Skipf("chronyd does not start: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("chronyd said:\n%s", &log)
		}
	})
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// socket drives a client over a real one, with readings of the system clock in user space.
type socket struct {
	conn    net.Conn
	began   time.Time
	sent    uint32
	samples []ntp.Measurement
}

func (s *socket) now() clock.Mono { return clock.Mono(time.Since(s.began)) }

func (s *socket) Send(b []byte) (uint32, clock.Timestamp, error) {
	s.sent++
	at := clock.At(clock.System, time.Now().UnixNano())
	_, err := s.conn.Write(b)
	return s.sent, at, err
}
func (s *socket) Measured(m *ntp.Measurement) { s.samples = append(s.samples, *m) }
func (s *socket) Rebind()                     {}
func (s *socket) FalseKiss(string)            {}
func (s *socket) Replace(string)              {}

func TestChronydAsServer(t *testing.T) {
	conn, err := net.Dial("udp4", startChronyd(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &socket{conn: conn, began: time.Now()}
	client := ntp.NewClient(ntp.Config{MinPoll: -4, MaxPoll: 0, Clock: clock.System, StampTimeout: -1},
		rand.New(rand.NewPCG(1, 2)), s)
	client.Reset(s.now())
	buf := make([]byte, wire.MaxLen)
	for s.now() < clock.Mono(15*time.Second) && len(s.samples) < 10 {
		if s.now() >= client.NextWake() {
			client.Wake(s.now())
		}
		// Refused connections are those before chronyd listens.
		_ = conn.SetReadDeadline(time.Now().Add(client.NextWake().Sub(s.now())))
		if n, err := conn.Read(buf); err == nil {
			ts := clock.At(clock.System, time.Now().UnixNano())
			// An answer to the request before the latest is late, and the next one counts.
			if err := client.Receive(s.now(), buf[:n], ts); err != nil && !errors.Is(err, ntp.ErrBogus) {
				t.Errorf("refused: %v", err)
			}
		}
	}
	if len(s.samples) < 10 {
		t.Fatalf("%d samples, status %+v", len(s.samples), client.Status())
	}
	for _, m := range s.samples {
		if m.Offset.Abs() > m.MaxError || m.Stratum != 1 {
			t.Errorf("the same clock differs from itself: %+v", m)
		}
	}
	if h := client.Status().Header; h.ReferenceID != (wire.ReferenceID{127, 127, 1, 1}) || h.Version != wire.Version {
		t.Errorf("header %+v", h)
	}
}
