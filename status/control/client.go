// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// Client asks the daemon over its control socket. Its methods may be called from any goroutine.
//
// Their errors name the socket. They match ErrNotRunning where no daemon listens, fs.ErrPermission where this user may not
// connect, ErrNotReady where the daemon has nothing to show yet, and ErrReadOnly where it does not permit writing.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client for the daemon that listens on socket. It connects with the first request.
func NewClient(socket string) *Client {
	var dialer net.Dialer
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConns:           1,
		IdleConnTimeout:        idleTimeout / 2, // before the server drops it
		ResponseHeaderTimeout:  requestTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}}}
}

// Close drops the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the daemon's present snapshot.
func (c *Client) Status(ctx context.Context) (*status.Snapshot, error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/status")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	s := new(status.Snapshot)
	if err := json.NewDecoder(io.LimitReader(body, maxAnswerBytes)).Decode(s); err != nil {
		return nil, fmt.Errorf("read the status from %s: %w", c.socket, err)
	}
	return s, nil
}

// Watch returns the present snapshot and then new ones, one per interval and one at each change of state, source, reason,
// steps and events. Interval is from MinInterval to MaxInterval, or 0 for the changes alone. The last element is the error
// that ended the watch; io.EOF wrapped in it says that the daemon did. Cancel ctx to end it.
func (c *Client) Watch(ctx context.Context, interval time.Duration) iter.Seq2[*status.Snapshot, error] {
	return func(yield func(*status.Snapshot, error) bool) {
		body, err := c.do(ctx, http.MethodGet, "/v1/watch?interval="+url.QueryEscape(interval.String()))
		if err != nil {
			yield(nil, err)
			return
		}
		defer body.Close()
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxAnswerBytes)
		for lines.Scan() {
			s := new(status.Snapshot)
			if err := json.Unmarshal(lines.Bytes(), s); err != nil {
				yield(nil, fmt.Errorf("watch %s: %w", c.socket, err))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
		err = lines.Err()
		if err == nil {
			err = io.EOF
		}
		yield(nil, fmt.Errorf("watch %s: %w", c.socket, err))
	}
}

// Resume has the daemon steer again after a panic.
func (c *Client) Resume(ctx context.Context) error {
	body, err := c.do(ctx, http.MethodPost, "/v1/resume")
	if err != nil {
		return err
	}
	return body.Close()
}

// do returns the body of an answer of 200.
func (c *Client) do(ctx context.Context, method, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://lockstep"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, c.refusal(answer)
}

// explain says what a failed connection means and what to do about it.
func (c *Client) explain(err error) error {
	var ask *url.Error
	if errors.As(err, &ask) {
		err = ask.Err // its text has a URL that is not the user's
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on %s; start it (systemctl start lockstepd), or name its socket with --socket",
			ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("connect to %s: %w; use sudo, or join the group that owns the socket", c.socket, fs.ErrPermission)
	}
	return fmt.Errorf("ask lockstepd on %s: %w", c.socket, err)
}

// refusal turns an answer that is not 200 into an error.
func (c *Client) refusal(answer *http.Response) error {
	why := failure{Error: answer.Status}
	if b, err := io.ReadAll(io.LimitReader(answer.Body, maxBodyBytes)); err == nil {
		_ = json.Unmarshal(b, &why) // what is not JSON leaves the status line to tell
	}
	switch answer.StatusCode {
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%w (%s): %s", ErrNotReady, c.socket, why.Error)
	case http.StatusForbidden:
		return fmt.Errorf("%w (%s)", ErrReadOnly, c.socket)
	}
	return fmt.Errorf("lockstepd on %s: %s", c.socket, why.Error)
}
