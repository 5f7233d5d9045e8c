// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// unprivilegedPorts has the first UDP port that anybody may listen on, of either IP version; 1024 unless somebody has
// changed it.
const unprivilegedPorts = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// firstFreePort reads it. A kernel that does not tell has the usual one.
func firstFreePort(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 1024
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 1024
	}
	return port
}

// ownCapabilities returns the effective capabilities of this process.
func ownCapabilities() (uint64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("platform: read own capabilities: %w", err)
	}
	defer f.Close()
	return effectiveCapabilities(f)
}

func effectiveCapabilities(r io.Reader) (uint64, error) {
	for s := bufio.NewScanner(r); s.Scan(); {
		if hex, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			v, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("platform: read own capabilities: %w", err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("platform: read own capabilities: no CapEff in /proc/self/status")
}
