// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status/control"
)

// TestIdleConnections holds more connections to the control socket and the metrics than the daemon serves: silent ones, and
// ones that have begun a request and do not end it. A client that comes then is answered at once, time after time.
func TestIdleConnections(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort, metricsSection)
	d.awaitSettled(t)
	hold := func(network, address string, n int) {
		for i := range n {
			var conn net.Conn
			w.host.do(t, func() (err error) {
				conn, err = new(net.Dialer).DialContext(context.Background(), network, address)
				return err
			})
			t.Cleanup(func() { conn.Close() })
			if i%2 == 0 {
				_, _ = conn.Write([]byte("GET /v1/status HTTP/1.1\r\nHo")) // it may have had to make room already
			}
		}
	}
	hold("unix", filepath.Join(d.dir, "socket"), 2*control.MaxConnections)
	hold("tcp", "127.0.0.1:9975", 80)
	began := time.Now()
	for range 5 {
		if code, out := d.ctl(t, "wait", "--timeout", "20s"); code != 0 {
			t.Errorf("lockstepctl wait: exit status %d: %s", code, out)
		}
		if code, out := d.ctl(t, "status"); code != 0 || !strings.Contains(out, "locked") {
			t.Errorf("lockstepctl status: exit status %d: %s", code, out)
		}
		if n := metric(t, d.metrics(t), `lockstep_state{state="locked"}`); n != 1 {
			t.Errorf("state locked is %v", n)
		}
	}
	t.Logf("15 requests took %v", time.Since(began).Round(time.Millisecond))
}
