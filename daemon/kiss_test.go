// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/platform/platformtest"
)

// TestReloadForgetsKisses has a server that has denied its service asked again by a configuration that is as it was.
func TestReloadForgetsKisses(t *testing.T) {
	const text = "[[ntp.server]]\naddress = \"127.0.0.1\"\n"
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := newRig(t, platformtest.New(platformtest.Config{Folder: t.TempDir(), Listen: func(hwts.Config) (platform.Conn, error) {
		addr := server.LocalAddr().(*net.UDPAddr).AddrPort()
		return platform.Local().Listen(hwts.Config{Network: hwts.UDP4, Connect: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())})
	}}), text)
	now := r.now()
	pass := func(d time.Duration) {
		now = now.Add(d)
		r.host.Wake(now)
		r.settleAt(now)
	}
	request := func() wire.Header {
		var b [wire.HeaderLen]byte
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := server.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		p, err := wire.Parse(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		return p.Header
	}
	reason := func() string { return r.host.Snapshot(now, time.Now(), nil).Sources[0].Reason }

	pass(0)
	pass(time.Second)
	h := wire.Header{Version: 4, Mode: wire.ModeServer, Origin: request().Transmit, ReferenceID: wire.ReferenceID{'D', 'E', 'N', 'Y'}}
	r.host.NTPReceived(now, 0, h.Append(nil), clock.Timestamp{})
	pass(time.Second)
	pass(time.Second)
	if got := reason(); !strings.HasPrefix(got, "it denies its service (DENY)") {
		t.Fatalf("the server has denied its service; reason: %s", got)
	}
	r.reload(now, parse(t, text))
	pass(17 * time.Second)
	if got := reason(); strings.Contains(got, "denies") {
		t.Errorf("reason after the reload: %s", got)
	}
	if request().Transmit == h.Origin {
		t.Error("the same request came twice")
	}
}
