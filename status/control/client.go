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
	"os"
	"syscall"
	"time"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/status"
)

// Client asks the daemon over its control socket. Its methods may be called from any goroutine.
//
// Their errors name the socket. They match ErrNotRunning where no daemon listens, fs.ErrPermission where this user may not
// connect, ErrNoAnswer where it does not answer within some 10 s, ErrNotReady where the daemon has nothing to show yet or
// too much to do, and ErrReadOnly where it does not permit writing.
type Client struct {
	socket string
	http   http.Client

	dialTimeout time.Duration // shorter in tests
}

// NewClient returns a client for the daemon that listens on socket. It connects with the first request.
func NewClient(socket string) *Client {
	c := &Client{socket: socket, dialTimeout: dialTimeout}
	c.http.Transport = &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		MaxIdleConns:           1,
		IdleConnTimeout:        idleTimeout / 2, // before the server drops it
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	// The daemon sends nobody elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// dial connects. While the listener's queue is full the kernel refuses at once instead of waiting; dial tries again until
// its time is over.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	late := fmt.Errorf("%w: %s has accepted no connection for %v", ErrNoAnswer, c.socket, c.dialTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, c.dialTimeout, late)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", c.socket)
		if err == nil {
			return conn, nil
		}
		// The dialer has a timer of its own for the deadline of ctx, which may expire before that of ctx.
		if ctx.Err() == nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(dialPeriod):
		}
	}
}

// Close drops the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the daemon's present snapshot.
func (c *Client) Status(ctx context.Context) (*status.Snapshot, error) {
	b, err := c.answer(ctx, http.MethodGet, "/v1/status")
	if err != nil {
		return nil, err
	}
	s := new(status.Snapshot)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("read the status from %s: %w", c.socket, shown{err})
	}
	return s, nil
}

// Resume has the daemon steer again after a panic.
func (c *Client) Resume(ctx context.Context) error {
	_, err := c.answer(ctx, http.MethodPost, "/v1/resume")
	return err
}

// answer returns the whole body of an answer of 200, of which more than maxAnswerBytes are cut off.
func (c *Client) answer(ctx context.Context, method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, c.silent(answerTimeout))
	defer cancel()
	body, err := c.do(ctx, method, path)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxAnswerBytes))
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return b, nil
}

// Watch returns the present snapshot and then new ones, one per interval and one at each change of state, source, reason,
// steps and events. Interval is from MinInterval to MaxInterval, or 0 for the changes alone. The last element is the error
// that ended the watch; io.EOF wrapped in it says that the daemon did. Cancel ctx to end it.
func (c *Client) Watch(ctx context.Context, interval time.Duration) iter.Seq2[*status.Snapshot, error] {
	return func(yield func(*status.Snapshot, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		silence := time.AfterFunc(silentTimeout, func() { cancel(c.silent(silentTimeout)) })
		defer silence.Stop()
		body, err := c.do(ctx, http.MethodGet, "/v1/watch?interval="+url.QueryEscape(interval.String()))
		if err != nil {
			yield(nil, err)
			return
		}
		defer body.Close()
		lines := bufio.NewReader(body)
		for {
			s, err := next(lines, silence)
			if err != nil {
				yield(nil, c.ended(ctx, err))
				return
			}
			silence.Stop() // the caller may take its time
			if !yield(s, nil) {
				return
			}
			silence.Reset(silentTimeout)
		}
	}
}

// next reads the next snapshot of a watch, and puts the end of silence off at each space before it, but not within it.
func next(lines *bufio.Reader, silence *time.Timer) (*status.Snapshot, error) {
	for {
		b, err := lines.ReadByte()
		if err != nil {
			return nil, err
		}
		silence.Reset(silentTimeout)
		if b != ' ' && b != '\n' {
			break
		}
	}
	if err := lines.UnreadByte(); err != nil {
		return nil, err
	}
	line, err := readLine(lines)
	if err != nil {
		return nil, err
	}
	s := new(status.Snapshot)
	return s, json.Unmarshal(line, s)
}

// readLine returns a line of at most maxAnswerBytes.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxAnswerBytes:
			return nil, bufio.ErrTooLong
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// ended says why a watch ended.
func (c *Client) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrNoAnswer) {
		return cause
	}
	return fmt.Errorf("watch %s: %w", c.socket, shown{err})
}

// do returns the body of an answer of 200, to be read while ctx lasts.
func (c *Client) do(ctx context.Context, method, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://lockstep"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, c.refusal(ctx, answer)
}

// silent is the error of a daemon that has not answered for that long.
func (c *Client) silent(d time.Duration) error {
	return fmt.Errorf("%w on %s within %v", ErrNoAnswer, c.socket, d)
}

// explain says what a failed request means and what to do about it.
func (c *Client) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrNoAnswer) {
		return cause
	}
	var ask *url.Error
	if errors.As(err, &ask) {
		err = ask.Err // its text has a URL that is not the user's
	}
	switch {
	case errors.Is(err, ErrNoAnswer): // from dial
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on %s; start it (systemctl start lockstepd), or name its socket with --socket",
			ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("connect to %s: %w; use sudo, or join the group that owns the socket", c.socket, fs.ErrPermission)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w: %s was closed before it answered, as it is when it has too many connections: %w",
			ErrNotReady, c.socket, err)
	}
	return fmt.Errorf("ask lockstepd on %s: %w", c.socket, shown{err})
}

// refusal turns an answer that is not 200 into an error. What it says may come from a stranger: whoever made the socket.
func (c *Client) refusal(ctx context.Context, answer *http.Response) error {
	why := failure{Error: answer.Status}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxBodyBytes))
	if err != nil {
		return c.explain(ctx, err)
	}
	_ = json.Unmarshal(b, &why)    // what is not JSON leaves the status line to tell
	text := plain.Short(why.Error) // nobody knows who listens there
	switch answer.StatusCode {
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%w (%s): %s", ErrNotReady, c.socket, text)
	case http.StatusForbidden:
		return fmt.Errorf("%w (%s)", ErrReadOnly, c.socket)
	}
	return fmt.Errorf("lockstepd on %s: %s", c.socket, text)
}

// shown is an error whose text may quote what was answered, made fit for a terminal.
type shown struct{ error }

func (e shown) Error() string { return plain.Short(e.error.Error()) }

func (e shown) Unwrap() error { return e.error }
