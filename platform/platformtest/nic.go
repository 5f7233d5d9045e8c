// SPDX-License-Identifier: Apache-2.0

package platformtest

import (
	"slices"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/platform"
)

// NIC records what is done to a NIC's configuration. It implements platform.Configurator.
type NIC struct {
	host  *Host
	state NICState // under the host's lock
}

// NICState is what was done to a NIC's configuration.
type NICState struct {
	// Name that it is configured by now.
	Name string
	// Uses that are acquired.
	Uses nic.Use
	// Forgotten: it does not stamp as it has to.
	Forgotten bool
	// Acquired, Reapplied and Asked count calls of Acquire that went well, of Reapply and of Forgotten.
	Acquired, Reapplied, Asked int
	// Restored has the name at each call of Restore.
	Restored []string

	separate bool
}

// Configurator implements platform.Host.
func (h *Host) Configurator(name string) platform.Configurator {
	h.wait("Configurator")
	h.mu.Lock()
	defer h.mu.Unlock()
	n := &NIC{host: h, state: NICState{Name: name}}
	h.nics[name] = n
	return n
}

// NIC returns the latest Configurator that was made for a NIC by that name, nil if none was.
func (h *Host) NIC(name string) *NIC {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nics[name]
}

// State returns what was done to it so far.
func (n *NIC) State() NICState {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	s := n.state
	s.Restored = slices.Clone(s.Restored)
	return s
}

// Reset has the NIC forget how it is to timestamp.
func (n *NIC) Reset() { n.edit(func(s *NICState) { s.Forgotten = true }) }

// Separate has the NIC lack filters for more than one use.
func (n *NIC) Separate() { n.edit(func(s *NICState) { s.separate = true }) }

func (n *NIC) edit(edit func(*NICState)) {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	edit(&n.state)
}

// Acquire implements platform.Configurator.
func (n *NIC) Acquire(u nic.Use) (c nic.Config, err error) {
	n.host.wait("NIC.Acquire")
	n.edit(func(s *NICState) {
		switch {
		case n.host.faults.Acquire != nil:
			err = n.host.faults.Acquire
		case s.separate && s.Uses&^u != 0:
			err = clock.ErrNotSupported
		default:
			s.Acquired++
			s.Uses |= u
			c = nic.Config{TxType: nic.TxOn, RxFilter: nic.RxAll}
		}
	})
	return c, err
}

// Keep implements platform.Configurator.
func (n *NIC) Keep(u nic.Use) error {
	n.host.wait("NIC.Keep")
	n.edit(func(s *NICState) { s.Uses &= u })
	return nil
}

// Forgotten implements platform.Configurator.
func (n *NIC) Forgotten() (forgotten bool) {
	n.host.wait("NIC.Forgotten")
	n.edit(func(s *NICState) {
		s.Asked++
		forgotten = s.Forgotten
	})
	return forgotten
}

// Reapply implements platform.Configurator.
func (n *NIC) Reapply() (changed bool, err error) {
	n.host.wait("NIC.Reapply")
	n.edit(func(s *NICState) {
		s.Reapplied++
		changed, s.Forgotten = s.Forgotten, false
	})
	return changed, nil
}

// Restore implements platform.Configurator.
func (n *NIC) Restore() error {
	n.host.wait("NIC.Restore")
	n.edit(func(s *NICState) { s.Restored = append(s.Restored, s.Name) })
	return nil
}

// Rename implements platform.Configurator.
func (n *NIC) Rename(to string) {
	n.host.wait("NIC.Rename")
	n.edit(func(s *NICState) { s.Name = to })
}
