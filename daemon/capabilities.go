// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/configs"
)

// need is a Linux capability and what this configuration needs it for.
type need struct {
	capability int
	name       string
	why        string
}

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

// needs lists the capabilities that the configuration cannot do without (capabilities(7)), where ports from firstFree on
// take none.
func needs(cfg *configs.Config, firstFree int) (all []need) {
	if cfg.Steering.SystemClock == configs.RealSystemClock {
		all = append(all, need{unix.CAP_SYS_TIME, "CAP_SYS_TIME", "to steer the system clock"})
	}
	low, admin, raw := false, false, false
	for _, p := range cfg.PTP.Ports {
		low = low || p.Transport != configs.L2 && int(min(p.EventPort, p.GeneralPort)) < firstFree
		admin = admin || p.Timestamping == configs.HardwareTimestamping // by auto the kernel's do as well
		raw = raw || p.Transport == configs.L2
	}
	if low {
		all = append(all, need{unix.CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "for the UDP ports of PTP (or sysctl net.ipv4.ip_unprivileged_port_start=319)"})
	}
	if admin {
		all = append(all, need{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to have NICs take timestamps"})
	}
	if raw {
		all = append(all, need{unix.CAP_NET_RAW, "CAP_NET_RAW", "for PTP over Ethernet"})
	}
	return all
}

// missing returns those of the needs that this process does not have.
func missing(all []need) ([]need, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("daemon: read own capabilities: %w", err)
	}
	defer f.Close()
	effective, err := effectiveCapabilities(f)
	if err != nil {
		return nil, err
	}
	var lack []need
	for _, n := range all {
		if effective&(1<<n.capability) == 0 {
			lack = append(lack, n)
		}
	}
	return lack, nil
}

func effectiveCapabilities(r io.Reader) (uint64, error) {
	for s := bufio.NewScanner(r); s.Scan(); {
		if hex, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			v, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("daemon: read own capabilities: %w", err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("daemon: read own capabilities: no CapEff in /proc/self/status")
}
