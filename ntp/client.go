// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

const (
	// flights is the number of requests that may be under way at once, for servers further away than the poll interval.
	flights = 4
	// burstLen is the number of requests of a burst, burstGap the time between them (RFC 5905 §13: BCOUNT, BTIME).
	burstLen = 6
	burstGap = 2 * time.Second
	// After lostAfter requests in a row without a usable answer a server is asked at shorter intervals again, after
	// unreachAfter it is given up for another one, and after deadAfter if it never gave one in the burst at the start.
	lostAfter, deadAfter, unreachAfter = 3, 4, 8
	// rebindPause is how long after a socket that could not send another one is made at the earliest.
	rebindPause = 2 * time.Second
	// settle is within what time a new association sends its first request, so that several do not send at once.
	settle = 50 * time.Millisecond
)

// Config says how a Client behaves. A field left zero takes the default stated with it, if any.
type Config struct {
	// MinPoll and MaxPoll limit the interval between requests, as exponents of two in seconds, −4 to 17. They have no
	// default: 0 is 1 s. RFC 5905 §7.2 has 6 and 10 for servers of others. A server may ask for more than MaxPoll by a
	// RATE kiss: up to MaxPoll+2, four times the interval, and at most 17. That wears off while it gives usable answers.
	MinPoll, MaxPoll int8
	// Burst has an association start with 6 requests at most 2 s apart.
	Burst bool
	// Version is the protocol version of the requests, 3 or 4. Default 4.
	Version uint8
	// Clock is the one that the stamps of requests and answers are of. Answers with stamps of other clocks are refused.
	Clock clock.ID
	// Precision is the granularity and noise of its stamps. Default 1 ns.
	Precision time.Duration
	// UserLatency is the standard deviation of the offset that comes from reading the clock in user space before a
	// request is sent, in place of a stamp of its transmission. Default 20 µs.
	UserLatency time.Duration
	// StampTimeout is how long after the answer the stamp of the request's transmission is waited for. Default 50 ms;
	// negative: not at all.
	StampTimeout time.Duration
	// FreshPort is the least poll interval with which every request leaves from a new port (RFC 9109). Default 16 s;
	// negative: one port for the association.
	FreshPort time.Duration
	// MaxRootDistance is the largest maximum error that a sample may have. Default 1.5 s.
	MaxRootDistance time.Duration
	// Pivot tells the era of the server's timestamps: they are taken as within 68 years of this instant, nanoseconds
	// since 1970 UTC. Default: what the clock reads, which must then be right to 68 years.
	Pivot int64
}

func (c Config) withDefaults() Config {
	c.MinPoll = min(max(c.MinPoll, minPoll), maxPoll)
	c.MaxPoll = min(max(c.MaxPoll, c.MinPoll), maxPoll)
	if c.Version == 0 {
		c.Version = wire.Version
	}
	if c.Precision <= 0 {
		c.Precision = 1
	}
	if c.UserLatency <= 0 {
		c.UserLatency = 20 * time.Microsecond
	}
	if c.StampTimeout == 0 {
		c.StampTimeout = 50 * time.Millisecond
	}
	if c.FreshPort == 0 {
		c.FreshPort = 16 * time.Second
	}
	if c.MaxRootDistance <= 0 {
		c.MaxRootDistance = 1500 * time.Millisecond
	}
	return c
}

// ErrPending says that the socket to a server is being made, which Connected of Client and Pool tells the end of.
var ErrPending = errors.New("the socket is being made")

// Output is what a Client acts through. None of its methods may call the Client, but for Replace, which may call Reset,
// and Measured, which may call Hint, SetPoll and Stepped.
type Output interface {
	// Send sends b to the server. It returns what Transmitted will name the datagram by, and what the clock read right
	// before. It must not keep b. With ErrPending nothing is sent until Connected is called.
	Send(b []byte) (id uint32, sent clock.Timestamp, err error)
	// Measured hands over a measurement, which is valid during the call only.
	Measured(m *Measurement)
	// Rebind asks for another local port from the next request on. What arrives at the old one may be thrown away.
	Rebind()
	// Replace says that the server is of no use, and why, as a clause. It is repeated while this holds.
	Replace(why string)
	// FalseKiss says that a kiss-o'-death with that code was ignored: the server has answered the same request truly, so
	// the kiss came from somebody else who saw the request.
	FalseKiss(code string)
}

// Client is the client side of one association with a server (RFC 5905 §8 to §10, §13).
//
// Requests carry nothing about this host: all fields are zero but version, mode, and a random number in place of the
// transmit timestamp, by which the answer is known. The random numbers must come from a cryptographic generator
// (rand.ChaCha8 seeded from crypto/rand) where strangers could otherwise guess them.
type Client struct {
	cfg Config
	rng *rand.Rand
	out Output

	// running: there is a server.
	running bool
	poll    pollControl
	// next is when the next request is due, last when the last one was sent; burst requests of a burst are left.
	next, last clock.Mono
	sent       bool
	burst      int
	// rebind: the network has changed; the next request leaves from a new port. broken: the latest one could not be sent,
	// as when the address that the socket has is gone; rebound is when that was answered by a new port last.
	rebind, broken bool
	rebound        clock.Mono
	// pending: the latest request waits for its socket.
	pending bool

	// kiss is not obeyed yet. until is when a server that denies its service is asked again, 0 if it does not; denials
	// doubles the time for which it is not asked, and counts since the last usable answer. denied and rates count the kisses
	// obeyed since then. wary: there was one.
	kiss    kiss
	until   clock.Mono
	denials int
	denied  int
	rates   int
	wary    bool

	// flight has the requests under way, and behind them the one that kiss answers.
	flight [flights + 1]exchange
	newest int

	// unanswered counts requests since the last usable answer, refused is why the latest answer was not usable.
	unanswered int
	refused    Refusal
	reach      uint8
	delays     delays

	status Status
	buf    [wire.HeaderLen]byte
	sample Measurement
}

// exchange is one request and what is known of its answer.
type exchange struct {
	// cookie is what the answer must carry as its origin; zero for none.
	cookie wire.Timestamp
	id     uint32
	sentAt clock.Mono
	// t1 is when the request was sent: by the stamp of its transmission if stamped, else as read before.
	t1      clock.Timestamp
	stamped bool
	// answered: head and t4 are of the answer; done: it was made use of or refused.
	answered, done bool
	head           wire.Header
	t4             clock.Timestamp
	// deadline is until when the answer waits for the stamp of the request.
	deadline clock.Mono
}

func (x *exchange) waiting() bool { return x.answered && !x.done }

// NewClient returns a Client that does nothing until Reset gives it a server.
func NewClient(cfg Config, rng *rand.Rand, out Output) *Client {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, rng: rng, out: out}
	c.poll.reset(cfg.MinPoll, cfg.MaxPoll)
	return c
}

// Reset starts the association anew, with the server that Send sends to from now on. Status keeps its counters; reach, the
// poll interval and what the server before said are forgotten.
func (c *Client) Reset(now clock.Mono) {
	c.running = true
	c.poll.reset(c.cfg.MinPoll, c.cfg.MaxPoll)
	c.drop()
	c.until, c.denials, c.denied, c.rates, c.wary = 0, 0, 0, 0, false
	c.unanswered, c.refused, c.reach, c.delays = 0, 0, 0, delays{}
	c.rebind, c.broken, c.pending, c.sent, c.burst = false, false, false, false, 0
	if c.cfg.Burst {
		c.burst = burstLen
	}
	s := &c.status
	s.Header, s.Kiss, s.Offset, s.Delay, s.MaxError, s.LastSample = wire.Header{}, "", 0, 0, 0, 0
	c.next = now.Add(c.random(settle))
}

// NetworkChanged has the server asked soon, and from a new port: the way to it may be another one, and so may be who
// sends kisses. They are forgotten as by ForgetKisses, with the same limit to how often the server is asked.
func (c *Client) NetworkChanged(now clock.Mono) {
	if !c.running {
		return
	}
	c.drop()
	c.forgetKisses()
	c.rebind = true
	c.soon(now)
	if c.cfg.Burst && !c.wary {
		c.burst = max(c.burst, burstLen)
	}
}

// soon brings the next request forward as far as soonest allows.
func (c *Client) soon(now clock.Mono) {
	next := now.Add(c.random(10 * settle))
	if c.sent {
		next = max(next, c.last.Add(c.soonest()))
	}
	c.next = min(c.next, next)
}

// Stepped says that the clock was stepped: requests under way give no sample any more. A kiss that waits for a true answer
// to one of them is dropped; the server will repeat it.
func (c *Client) Stepped() { c.drop() }

// drop forgets the requests under way, and the kiss that is not obeyed yet.
func (c *Client) drop() { c.flight, c.kiss = [flights + 1]exchange{}, kiss{} }

// dropOpen forgets the requests under way, but not the one that a kiss answers: that is due all the same.
func (c *Client) dropOpen() { clear(c.flight[:flights]) }

// NextWake returns when Wake is to be called next. It may change with every call of another method.
func (c *Client) NextWake() clock.Mono {
	wake := clock.Never
	if c.running {
		wake = c.next
	}
	for i := range c.flight {
		if x := &c.flight[i]; x.waiting() {
			wake = min(wake, x.deadline)
		}
	}
	if c.kiss.due != 0 {
		wake = min(wake, c.kiss.due)
	}
	return wake
}

// Wake does what is due at now. Called early, it does nothing.
func (c *Client) Wake(now clock.Mono) {
	for i := range c.flight {
		if x := &c.flight[i]; x.waiting() && now >= x.deadline {
			c.finish(now, x)
		}
	}
	if c.kiss.due != 0 && now >= c.kiss.due {
		c.obey(now)
	}
	if c.running && now >= c.next {
		c.request(now)
	}
}

// request sends a request, and says so if the server has been silent for too long.
func (c *Client) request(now clock.Mono) {
	c.until = 0
	silent := c.unanswered > 0 && c.unanswered%unreachAfter == 0
	dead := c.unanswered == deadAfter && c.burst > 0 && c.status.Header.Version == 0
	switch {
	case c.unanswered == lostAfter:
		c.poll.lost()
	case silent:
		c.poll.silent()
	}
	c.schedule(now)
	if c.wantsPort(now) {
		c.rebind, c.broken = false, false
		c.dropOpen()
		c.out.Rebind()
	}
	c.send(now)
	c.reach <<= 1
	c.unanswered++
	if silent || dead {
		c.out.Replace(c.silence())
	}
}

// wantsPort reports whether the next request has to leave from a new port.
func (c *Client) wantsPort(now clock.Mono) bool {
	if c.broken && now.Sub(c.rebound) >= rebindPause {
		c.rebound, c.rebind = now, true
	}
	return c.rebind || c.cfg.FreshPort > 0 && c.burst == 0 && wire.Log2(c.poll.current) >= c.cfg.FreshPort
}

// silence says what has become of the latest requests.
func (c *Client) silence() string {
	if c.refused != 0 {
		return "no usable answer: " + c.refused.Error()
	}
	return "no answer"
}

// schedule sets the time of the next request: a little later than the interval, never earlier.
func (c *Client) schedule(now clock.Mono) {
	interval := c.interval()
	if c.burst > 0 {
		c.burst--
	}
	if c.burst > 0 {
		interval = min(interval, burstGap)
	}
	c.next, c.last, c.sent = now.Add(interval+c.random(interval/16)), now, true
}

func (c *Client) send(now clock.Mono) {
	var cookie wire.Timestamp
	for cookie == 0 || c.find(cookie) != nil {
		cookie = wire.Timestamp(c.rng.Uint64())
	}
	h := wire.Header{Version: c.cfg.Version, Mode: wire.ModeClient, Precision: 32, Transmit: cookie}
	id, sent, err := c.out.Send(h.Append(c.buf[:0]))
	c.pending = errors.Is(err, ErrPending)
	c.broken = err != nil && !c.pending
	if c.pending {
		return
	}
	if c.broken {
		c.status.SendErrors++
		return
	}
	c.status.Sent++
	c.newest = (c.newest + 1) % flights
	c.flight[c.newest] = exchange{cookie: cookie, id: id, sentAt: now, t1: sent}
}

// Connected tells that the socket is there which a Send that failed with ErrPending waits for, or why there is none. The
// request is sent now, and the next one as much later as this one.
func (c *Client) Connected(now clock.Mono, err error) {
	if !c.pending || !c.running || c.until != 0 {
		return
	}
	c.pending = false
	if err != nil {
		c.broken = true
		c.status.SendErrors++
		return
	}
	c.next, c.last = c.next.Add(now.Sub(c.last)), now
	c.send(now)
}

// find returns the request with that cookie, nil if there is none.
func (c *Client) find(cookie wire.Timestamp) *exchange {
	for i := range c.flight {
		if x := &c.flight[i]; x.cookie == cookie && cookie != 0 {
			return x
		}
	}
	return nil
}

// Transmitted hands over the stamp of the transmission of what Send returned id for.
// A stamp that is late, of another clock, or of nothing that is known is ignored and counted.
func (c *Client) Transmitted(now clock.Mono, id uint32, ts clock.Timestamp) {
	for k := range flights + 1 {
		x := &c.flight[held]
		if k < flights { // the latest first, since sockets may count from the start again
			x = &c.flight[(c.newest+flights-k)%flights]
		}
		if x.cookie == 0 || x.id != id || x.stamped || x.done || ts.Clock() != c.cfg.Clock {
			continue
		}
		x.t1, x.stamped = ts, true
		if x.answered {
			c.finish(now, x)
		}
		return
	}
	c.status.StrayStamps++
}

// SetPoll sets the poll interval, as an exponent of two in seconds, within the limits of Config and the server's own.
func (c *Client) SetPoll(poll int8) {
	c.poll.set(poll)
	c.hasten()
}

// SetMinPoll asks at poll, an exponent of two in seconds, and makes that the shortest interval in place of the one of
// Config, until it is set again or the client is reset.
func (c *Client) SetMinPoll(poll int8) {
	c.poll.min = min(max(poll, minPoll), c.poll.max)
	c.SetPoll(poll)
}

// Hint tells how well the sample just measured was predicted: by how much it was missed, and the noise of samples,
// as one standard deviation. The poll interval is lengthened while predictions hold and shortened when they fail.
func (c *Client) Hint(miss, noise time.Duration) {
	c.poll.hint(miss, noise)
	c.hasten()
}

// hasten brings the next request forward where the interval has become shorter.
func (c *Client) hasten() {
	if c.sent && c.running && c.until == 0 {
		interval := c.interval()
		c.next = min(c.next, c.last.Add(interval+interval/16))
	}
}

// interval between requests outside of bursts. A server that has denied its service gets a single request in the time
// that it takes to see whether it still does: a round trip and kissHold.
func (c *Client) interval() time.Duration {
	interval := wire.Log2(c.poll.current)
	if c.denials > 0 {
		return max(interval, kissHold+time.Second)
	}
	return interval
}

// soonest is the shortest time that must pass between any two requests. The network may change all the time, as when a
// link flaps, and kisses are forgotten each time: a server that has sent one and no usable answer since is asked no more
// often than Config.MinPoll allows.
func (c *Client) soonest() time.Duration {
	if c.wary {
		return wire.Log2(c.cfg.MinPoll)
	}
	return min(c.interval(), burstGap)
}

// random returns a duration in [0, d).
func (c *Client) random(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(c.rng.Int64N(int64(d)))
}

// Status is what is known of the association.
type Status struct {
	// Header is of the last usable answer; zero if there was none.
	Header wire.Header
	// Kiss is the code of the last kiss-o'-death packet that the server did not contradict, empty if there was none since
	// Reset, NetworkChanged or ForgetKisses (RFC 5905 §7.4).
	Kiss string
	// Stopped: no requests are sent. There is no server, and Kiss is empty; or the server has denied its service, Kiss says
	// how, DENY or RSTR, and it is asked again at Until, or soon after NetworkChanged or ForgetKisses.
	Stopped bool
	Until   clock.Mono
	// Reach has a bit for each of the last eight requests, the lowest for the latest: whether it gave a sample.
	Reach uint8
	// Interval between requests outside of bursts, and its exponent.
	Interval time.Duration
	Poll     int8
	// Offset, Delay and MaxError of the last sample, and when it was measured. Valid if Samples is not 0.
	Offset, Delay, MaxError time.Duration
	LastSample              clock.Mono
	// Sent requests, SendErrors, Received datagrams, Samples, and of these the ones with a stamp of the transmission.
	Sent, SendErrors, Received, Samples, Stamped uint64
	// StrayStamps are stamps of transmissions that no request was waiting for.
	StrayStamps uint64
	// FalseKisses are kisses that were ignored, since a true answer to the same request came after them.
	FalseKisses uint64
	// Refused datagrams by reason.
	Refused Refusals
}

// Status returns what is known now.
func (c *Client) Status() Status {
	s := c.status
	s.Stopped, s.Until = !c.running || c.until != 0, c.until
	s.Reach, s.Poll, s.Interval = c.reach, c.poll.current, wire.Log2(c.poll.current)
	return s
}
