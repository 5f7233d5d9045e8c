// SPDX-License-Identifier: Apache-2.0

package platformtest

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/platform"
)

// Silent makes a socket that no network carries: what is sent is counted, and nothing comes in. Its Serve waits for a channel,
// and not for the kernel, so that time can pass in a bubble of testing/synctest.
func Silent(hwts.Config) (platform.Conn, error) { return &silent{closed: make(chan struct{})}, nil }

type silent struct {
	closed chan struct{}
	once   sync.Once
	sent   atomic.Uint64
}

func (s *silent) Send([]byte, hwts.Addr) (uint32, error) { return uint32(s.sent.Add(1)) - 1, nil }

func (s *silent) Serve(hwts.Handler) error {
	<-s.closed
	return net.ErrClosed
}

func (s *silent) Counters() hwts.Counters { return hwts.Counters{Sent: s.sent.Load()} }

func (s *silent) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}
