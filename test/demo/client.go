// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
)

// ports are those that this run uses: free ones, so that demonstrations do not meet.
type ports struct{ event, general, ntp, metrics uint16 }

// freePorts finds ports. They are below those that the kernel gives to whoever asks for any
// (net.ipv4.ip_local_port_range): nobody comes by them by chance while they are not bound.
func freePorts() (p ports, err error) {
	const first, n, attempts = 20_000, 12_000, 50
	all := []*uint16{&p.event, &p.general, &p.ntp, &p.metrics}
	for range attempts {
		start := first + rand.N(uint16(n-len(all)))
		for i, port := range all {
			*port = start + uint16(i)
		}
		if err = free(all); err == nil {
			return p, nil
		}
	}
	return p, fmt.Errorf("find free ports: %w", err)
}

// free tells whether all these ports can be had on loopback.
func free(all []*uint16) error {
	for _, port := range all {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), *port)
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(address))
		if err != nil {
			return err
		}
		c.Close()
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(address))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// demoConfig is the configuration for demonstrations with this run's ports and files.
func demoConfig(dir string, p ports) ([]byte, error) {
	var c map[string]any
	if err := toml.Unmarshal([]byte(configs.Example("demo.toml")), &c); err != nil {
		return nil, fmt.Errorf("demo.toml: %w", err)
	}
	port := c["ptp"].(map[string]any)["port"].([]any)[0].(map[string]any)
	port["event_port"], port["general_port"] = p.event, p.general
	c["ntp"].(map[string]any)["server"].([]any)[0].(map[string]any)["port"] = p.ntp
	c["control"] = map[string]any{"socket": filepath.Join(dir, "lockstep.sock")}
	c["metrics"] = map[string]any{"listen": fmt.Sprintf("127.0.0.1:%d", p.metrics)}
	c["state_file"] = filepath.Join(dir, "state.json")
	return toml.Marshal(c)
}

// client is a running lockstepd.
type client struct {
	cfg    *configs.Config
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it has; err is valid then
	err    error
}

// startClient starts the lockstepd of a folder, with everything that it writes in dir.
func startClient(bin, dir string, p ports) (*client, error) {
	text, err := demoConfig(dir, p)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "lockstepd.toml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	c := &client{log: filepath.Join(dir, "lockstepd.log"), exited: make(chan struct{})}
	if c.cfg, err = configs.Load(file); err != nil {
		return nil, err
	}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command(filepath.Join(bin, "lockstepd"), "--config", file)
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demonstration, which ends the rest
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make build makes it)", err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// doors are the ways to look at it from elsewhere.
func (c *client) doors(bin string) []string {
	return []string{fmt.Sprintf("%s --socket %s status", filepath.Join(bin, "lockstepctl"), c.cfg.Control.Socket),
		"http://" + c.cfg.Metrics.Listen + "/metrics"}
}

// stopTime is how long the children may take to end.
const stopTime = 5 * time.Second

// Stop ends it, and fails if it had ended before or does not end well.
func (c *client) Stop() error {
	select {
	case <-c.exited:
		return fmt.Errorf("lockstepd has ended by itself: %w", c.why())
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end lockstepd: %w", err)
	}
	select {
	case <-c.exited:
	case <-time.After(stopTime):
		_ = c.cmd.Process.Kill() // it has just not ended
		<-c.exited
		return fmt.Errorf("lockstepd did not end within %v", stopTime)
	}
	if c.err != nil {
		return fmt.Errorf("lockstepd: %w", c.why())
	}
	return nil
}

// why returns how it ended and the last lines of its log.
func (c *client) why() error {
	text, err := os.ReadFile(c.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	tail := strings.Join(lines[max(0, len(lines)-5):], "\n")
	return errors.Join(c.err, err, errors.New(tail))
}

// errOver ends a watch when the client has ended.
var errOver = errors.New("lockstepd has ended")

// watch hands the client's snapshots to out until ctx is done.
func (c *client) watch(ctx context.Context, out chan<- *status.Snapshot) {
	asking := control.NewClient(c.cfg.Control.Socket)
	defer asking.Close()
	for ctx.Err() == nil {
		for s, err := range asking.Watch(ctx, control.MinInterval) {
			if err != nil {
				break // it is not up yet, or down again: the story notices by its limits
			}
			select {
			case out <- s:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(control.MinInterval):
		}
	}
}
