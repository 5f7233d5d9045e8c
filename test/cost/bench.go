// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
)

// bench is the servers, and the programs that are measured.
type bench struct {
	dir      string
	rate     int // Sync messages per second
	servers  *namespace
	masters  []*grandmaster
	clients  []*namespace
	running  []*exec.Cmd
	measured []measured
	sockets  []string // of the lockstepds
}

// measured is a line of the table: one process, or several together.
type measured struct {
	name string
	pids []int
}

// start runs the servers, and each of the clients at the end of a cable of its own.
func (b *bench) start(daemons []daemon) (err error) {
	if b.servers, err = newNamespace(); err != nil {
		return err
	}
	for _, d := range daemons {
		if err := b.startLockstepd(d); err != nil {
			return err
		}
	}
	return b.startOthers()
}

// cable joins a new client's namespace, with the interface eth0, to the servers, and has a grandmaster and an NTP server
// there. It returns the latter's address.
func (b *bench) cable() (*namespace, netip.Addr, error) {
	n := len(b.clients)
	server := netip.AddrFrom4([4]byte{10, 9, byte(n), 1})
	client, err := newNamespace()
	if err != nil {
		return nil, server, err
	}
	b.clients = append(b.clients, client)
	name := fmt.Sprintf("eth%d", n)
	if err := b.servers.join(name, server, client, "eth0", server.Next()); err != nil {
		return nil, server, err
	}
	g, err := newGrandmaster(b.servers, name, n, bits.TrailingZeros(uint(b.rate)))
	if err != nil {
		return nil, server, err
	}
	b.masters = append(b.masters, g)
	config := fmt.Sprintf("local stratum 1\nallow all\nbindaddress %v\ncmdport 0\nbindcmdaddress /\npidfile %s\nuser root\n",
		server, b.path(name+".pid"))
	_, err = b.runChronyd(b.servers, "server-"+name, config)
	return client, server, err
}

func (b *bench) startLockstepd(d daemon) error {
	client, server, err := b.cable()
	if err != nil {
		return err
	}
	socket := b.path(d.name + ".sock")
	b.sockets = append(b.sockets, socket)
	pid, err := b.runConfigured(client, d.name, d.path, []string{"--config"}, fmt.Sprintf(`state_file = %q
[control]
socket = %q
[steering]
system_clock = "virtual"
phc = false
[[ptp.port]]
interface = "eth0"
timestamping = "kernel"
[[ntp.server]]
address = "%v"
`, b.path(d.name+".json"), socket, server))
	b.measured = append(b.measured, measured{d.name, []int{pid}})
	return err
}

// startOthers runs ptp4l and chronyd. ptp4l steers nothing, which spares it a system call for each Sync.
func (b *bench) startOthers() error {
	client, server, err := b.cable()
	if err != nil {
		return err
	}
	config := "[global]\nfree_running 1\nuds_address " + b.path("ptp4l.sock") + "\n"
	if path, err := exec.LookPath("ptp4l"); err == nil {
		if program, err := os.ReadFile(path); err == nil && bytes.Contains(program, []byte("uds_ro_address")) { // since 3.2
			config += "uds_ro_address " + b.path("ptp4l-ro.sock") + "\n"
		}
	}
	ptp4l, err := b.runConfigured(client, "ptp4l", "ptp4l", []string{"-S", "-4", "-s", "-m", "-f"}, config+"[eth0]\n")
	if err != nil {
		return err
	}
	chronyd, err := b.runChronyd(client, "chronyd", fmt.Sprintf(
		"server %v\ncmdport 0\nbindcmdaddress /\npidfile %s\nuser root\n", server, b.path("client.pid")))
	b.measured = append(b.measured, measured{"ptp4l", []int{ptp4l}}, measured{"chronyd", []int{chronyd}},
		measured{"ptp4l + chronyd", []int{ptp4l, chronyd}})
	return err
}

func (b *bench) runChronyd(n *namespace, name, config string) (pid int, err error) {
	return b.runConfigured(n, name, "chronyd", []string{"-x", "-d", "-f"}, config)
}

// runConfigured starts a program with a configuration file as its last argument.
func (b *bench) runConfigured(n *namespace, name, program string, args []string, config string) (pid int, err error) {
	file := b.path(name + ".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return 0, err
	}
	log, err := os.Create(b.path(name + ".log"))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(program, append(args, file)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.do(cmd.Start); err != nil {
		return 0, err
	}
	b.running = append(b.running, cmd)
	return cmd.Process.Pid, nil
}

// usage returns what each line of the table has taken so far.
func (b *bench) usage() (all []usage, err error) {
	for _, m := range b.measured {
		var sum usage
		for _, pid := range m.pids {
			u, err := usageOf(pid)
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", m.name, err, b.log(m.name))
			}
			sum = sum.plus(u)
		}
		all = append(all, sum)
	}
	return all, nil
}

func (b *bench) log(name string) string {
	text, err := os.ReadFile(b.path(name + ".log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// check looks, after the measurement, whether the programs have done the work.
func (b *bench) check() (err error) {
	for i, socket := range b.sockets {
		name := b.measured[i].name
		c := control.NewClient(socket)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		s, e := c.Status(ctx)
		cancel()
		c.Close()
		if e == nil && (s.State != status.Locked || s.Selected != "ptp:eth0") {
			e = fmt.Errorf("it is %v, following %q", s.State, s.Selected)
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w\n%s", name, e, b.log(name)))
		}
	}
	if !strings.Contains(b.log("ptp4l"), "UNCALIBRATED") {
		err = errors.Join(err, fmt.Errorf("ptp4l does not follow the grandmaster:\n%s", b.log("ptp4l")))
	}
	return err
}

// close ends all programs.
func (b *bench) close() {
	for _, cmd := range b.running {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
	}
	for _, g := range b.masters {
		g.close()
	}
	for _, n := range append(b.clients, b.servers) {
		if n != nil {
			n.close()
		}
	}
}
