// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"os"
	"reflect"
	"strings"
)

const osRelease = "/etc/os-release"

// Unconfigured says how far PTP ports are trusted that Discover has added.
const Unconfigured = "PTP ports that no file names are followed only where a majority of the NTP servers confirms them"

// Discovered returns the configuration of a host that has none: a PTP port over UDP/IPv4 on each of the interfaces, which
// are those that have a PHC, and the NTP pool of the distribution as /etc/os-release names it.
func Discovered(interfaces []string) *Config {
	c := Default()
	c.Discover(interfaces)
	return c
}

// Discover adds the sources of Discovered to a configuration that has none of its own. Of more interfaces than a
// configuration may have ports, the first are used.
func (c *Config) Discover(interfaces []string) {
	if c.HasSources() {
		return
	}
	release, err := os.ReadFile(osRelease)
	if err != nil {
		release = nil
	}
	c.discover(interfaces, string(release))
}

func (c *Config) discover(interfaces []string, release string) {
	c.Discovered = true
	port, most := preset[Port]("ptp.port")
	for _, name := range interfaces[:min(len(interfaces), most)] {
		port.Interface = name
		c.PTP.Ports = append(c.PTP.Ports, port)
	}
	pool, _ := preset[Pool]("ntp.pool")
	pool.Name = vendorPool(release)
	c.NTP.Pools = append(c.NTP.Pools, pool)
}

// preset returns a section with its defaults, and how many of it a file may have.
func preset[T any](path string) (value T, most int) {
	schema().each(func(s section) {
		if s.path == path {
			d := decoder{newReport("", lines{})}
			d.section(s, reflect.ValueOf(&value).Elem(), nil, path)
			most = s.max
		}
	})
	return value, most
}

// vendorPool returns the zone of the NTP pool that a distribution's vendor has registered, which its hosts are asked to
// use. Of the zones, the one that begins with 2 has IPv6 addresses too.
func vendorPool(release string) string {
	switch id := releaseID(release); id {
	case "debian", "ubuntu", "fedora", "centos", "rhel", "rocky", "almalinux", "opensuse", "arch", "gentoo", "nixos":
		return "2." + id + ".pool.ntp.org"
	case "opensuse-leap", "opensuse-tumbleweed":
		return "2.opensuse.pool.ntp.org"
	case "amzn":
		return "2.amazon.pool.ntp.org"
	}
	return "pool.ntp.org"
}

// releaseID returns the ID of os-release(5).
func releaseID(release string) string {
	id := ""
	for line := range strings.Lines(release) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
			id = strings.Trim(value, `"'`)
		}
	}
	return id
}
