// SPDX-License-Identifier: Apache-2.0

package host_test

import "testing"

// TestSourceIDs has sources that differ in less and less: each has an ID of its own, by which it can be told from others.
func TestSourceIDs(t *testing.T) {
	const port, server = "[[ptp.port]]\ninterface = \"eth0\"\n", "[[ntp.server]]\naddress = \"192.0.2.1\"\n"
	const pool = "[[ntp.pool]]\nname = \"pool.example\"\ncount = 2\n"
	s := newSite(t, port+port+"sdo_id = 1\n"+port+"sdo_id = 2\n"+port+"sdo_id = 3\n"+port+"domain = 24\n"+
		server+server+"port = 1123\n"+pool+pool+"port = 1123\n"+pool+"port = 2123\n", 10*second)
	s.world.Run(10 * second)
	want := []string{"ptp:eth0", "ptp:eth0/udp4/0", "ptp:eth0/udp4/0/0x2", "ptp:eth0/udp4/0/0x3", "ptp:eth0/udp4/24",
		"ntp:192.0.2.1", "ntp:192.0.2.1:1123", "ntp:pool.example#1", "ntp:pool.example#2", "ntp:pool.example:1123#1",
		"ntp:pool.example:1123#2", "ntp:pool.example:2123#1", "ntp:pool.example:2123#2"}
	got := s.snapshot().Sources
	if len(got) != len(want) {
		t.Fatalf("%d sources, want %d", len(got), len(want))
	}
	for i := range got {
		if string(got[i].ID) != want[i] {
			t.Errorf("source %d is %s, want %s", i, got[i].ID, want[i])
		}
	}
}
