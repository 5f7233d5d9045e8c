// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"github.com/lockstep-time/lockstep/ptp"
)

// Validate checks a Config that was not read from a file. The error is *Problems.
func (c *Config) Validate() error {
	r := newReport("", lines{})
	r.values(schema(), reflect.ValueOf(c).Elem(), "")
	c.check(r)
	return r.err()
}

// values checks each value by its rule.
func (r *report) values(s section, v reflect.Value, path string) {
	for _, k := range s.keys {
		if wrong := k.rule.check(v.FieldByIndex(k.index)); wrong != "" {
			r.add(join(path, k.name), wrong, k.rule.allowed())
		}
	}
	for _, sub := range s.subs {
		field, at := v.FieldByIndex(sub.index), join(path, sub.name)
		if !sub.list {
			r.values(sub, field, at)
			continue
		}
		if field.Len() > sub.max {
			r.add(at, fmt.Sprintf("%d sections", field.Len()), fmt.Sprintf("at most %d", sub.max))
		}
		for i := range min(field.Len(), sub.max) {
			r.values(sub, field.Index(i), element(at, i))
		}
	}
}

// check reports what is wrong with values that are right by themselves.
func (c *Config) check(r *report) {
	c.checkPorts(r)
	c.checkServers(r)
	c.checkSteering(r)
	c.checkSelection(r)
}

func (c *Config) checkPorts(r *report) {
	type identity struct {
		iface     string
		transport Transport
		domain    uint8
		sdo       uint16
	}
	first := make(map[identity]string)
	for i, p := range c.PTP.Ports {
		at := element("ptp.port", i)
		checkPreference(r, p.Preference, at)
		r.udpPorts(p, at)
		r.masters(p, at+".masters")
		if !r.sound(at, at+".interface", at+".transport", at+".domain", at+".sdo_id") {
			continue
		}
		id := identity{p.Interface, p.Transport, p.Domain, p.SdoID}
		if other, ok := first[id]; ok {
			r.add(at, fmt.Sprintf("the same port as %s: interface %s, transport %s, domain %d, sdo_id %d",
				other, p.Interface, p.Transport, p.Domain, p.SdoID), "one port for each interface, transport, domain and sdo_id")
			continue
		}
		first[id] = at
	}
}

// masters reports addresses that no message of the port's transport comes from: with them alone it would follow nobody.
func (r *report) masters(p Port, at string) {
	if !r.sound(at) {
		return
	}
	for _, text := range p.Masters {
		id, err := ptp.ParseMasterID(text)
		if err != nil || id.Address.IsZero() {
			continue
		}
		ip := id.Address.IP
		switch {
		case p.Transport == L2 && ip.IsValid():
			r.add(at, show(text)+" is an IP address, and Ethernet has none", `clock identities and MACs with transport = "l2"`)
		case p.Transport == UDP4 && !ip.Is4():
			r.add(at, show(text)+" is no IPv4 address", `clock identities and IPv4 addresses with transport = "udp4"`)
		case p.Transport == UDP6 && !ip.Is6():
			r.add(at, show(text)+" is no IPv6 address", `clock identities and IPv6 addresses with transport = "udp6"`)
		}
	}
}

func (r *report) udpPorts(p Port, at string) {
	event, general := at+".event_port", at+".general_port"
	if !r.sound(event, general) {
		return
	}
	if p.EventPort == p.GeneralPort {
		r.add(general, fmt.Sprintf("%d is event_port as well", p.GeneralPort), "another port than event_port")
	}
}

func checkPreference(r *report, p Preference, at string) {
	if p.NoSelect && (p.Prefer || p.Trust) {
		r.add(at+".noselect", "a source that is never followed is to be preferred or trusted",
			"noselect alone, or prefer and trust")
	}
}

func (c *Config) checkServers(r *report) {
	first := make(map[string]string)
	unique := func(at, key, host string, a Association) {
		if !r.sound(at+"."+key, at+".port") {
			return
		}
		id := fmt.Sprintf("%s port %d", canonical(host), a.Port)
		if other, ok := first[key+id]; ok {
			r.add(at, fmt.Sprintf("the same as %s: %s", other, id), "one section for each "+key+" and port")
			return
		}
		first[key+id] = at
	}
	for i, s := range c.NTP.Servers {
		at := element("ntp.server", i)
		checkAssociation(r, s.Association, at)
		unique(at, "address", s.Address, s.Association)
	}
	for i, p := range c.NTP.Pools {
		at := element("ntp.pool", i)
		checkAssociation(r, p.Association, at)
		unique(at, "name", p.Name, p.Association)
	}
}

// canonical returns the one way to write an address or a name.
func canonical(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func checkAssociation(r *report, a Association, at string) {
	checkPreference(r, a.Preference, at)
	if r.sound(at+".min_poll", at+".max_poll") && a.MaxPoll < a.MinPoll {
		r.add(at+".max_poll", fmt.Sprintf("%s is shorter than min_poll",
			formatSpan(a.MaxPoll)), "at least "+quote(formatSpan(a.MinPoll)))
	}
}

func (c *Config) checkSteering(r *report) {
	s := c.Steering
	threshold, panics := "steering.step_threshold", "steering.panic_threshold"
	if r.sound(threshold, panics) && s.PanicThreshold <= s.StepThreshold {
		r.add(panics, fmt.Sprintf("%s is not above step_threshold",
			formatSpan(s.PanicThreshold)), "more than "+quote(formatSpan(s.StepThreshold)))
	}
	if r.sound("steering.system_clock") && s.SystemClock != VirtualSystemClock && s.Virtual != (Virtual{}) {
		r.add("steering.virtual", "there is no virtual clock", `only with steering.system_clock = "virtual"`)
	}
}

// checkSelection compares min_sources with the sources there are. A file without any gets those of Discover.
func (c *Config) checkSelection(r *report) {
	n, at := c.selectable(), "selection.min_sources"
	if c.HasSources() && r.sound(at) && c.Selection.MinSources > n {
		r.add(at, fmt.Sprintf("%d sources are needed, %d may be followed", c.Selection.MinSources, n), fmt.Sprintf("at most %d",
			n))
	}
}

// HasSources reports whether there is any source of time in the configuration.
func (c *Config) HasSources() bool {
	return len(c.PTP.Ports)+len(c.NTP.Servers)+len(c.NTP.Pools) > 0
}

// selectable returns how many sources may be followed.
func (c *Config) selectable() int {
	n := 0
	for _, p := range c.PTP.Ports {
		if !p.NoSelect {
			n++
		}
	}
	for _, s := range c.NTP.Servers {
		if !s.NoSelect {
			n++
		}
	}
	for _, p := range c.NTP.Pools {
		if !p.NoSelect {
			n += p.Count
		}
	}
	return n
}
