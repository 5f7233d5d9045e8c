// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/platform"
)

// need is a Linux capability and what this configuration needs it for.
type need struct {
	capability int
	name       string
	why        string
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
func missing(all []need, p platform.Privileges) (lack []need) {
	for _, n := range all {
		if !p.Has(n.capability) {
			lack = append(lack, n)
		}
	}
	return lack
}
