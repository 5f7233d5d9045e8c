// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/lockstep-time/lockstep/internal/httpserve"
)

// The times that tests in simulated time expect.
const (
	AnswerTimeout = answerTimeout
	SilentTimeout = silentTimeout
	ResumeTimeout = resumeTimeout
	Heartbeat     = heartbeat
	PeerShare     = peerShare
)

// ErrUnread is logged when a watch ends because its client does not read.
var ErrUnread = errUnread

// Peer is whom a request belongs to.
type Peer = httpserve.Peer

// SetPeer has peer tell whose a request is.
func (s *Server) SetPeer(peer func(context.Context) Peer) { s.peer = peer }

// SetPatience sets how long a watcher may leave unread what it is sent.
func (s *Server) SetPatience(d time.Duration) { s.patience = d }

// SetDialTimeout sets how long the client tries to connect.
func (c *Client) SetDialTimeout(d time.Duration) { c.dialTimeout = d }

// SetDial replaces the client's way to connect.
func (c *Client) SetDial(dial func() (net.Conn, error)) {
	c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
}
