// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace.
type namespace struct{ fd int }

// newNamespace makes a network namespace, which ends with its last process and descriptor.
func newNamespace() (*namespace, error) {
	n := &namespace{}
	return n, onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		n.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
}

// do calls f by a thread that is in the namespace. The sockets and processes that f makes stay there.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

// onThread calls f by a thread that ends afterwards.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		done <- f()
	}()
	return <-done
}

// join lays a cable between an interface of n and one of another namespace.
func (n *namespace) join(name string, address netip.Addr, other *namespace, otherName string,
	otherAddress netip.Addr) error {
	// ip takes a path for the namespace, and this process has no name for it but its descriptor
	path := fmt.Sprintf("/proc/%d/fd/%d", unix.Getpid(), other.fd)
	err := n.ip("link", "add", name, "type", "veth", "peer", "name", otherName, "netns", path)
	if err == nil {
		err = n.up(name, address)
	}
	if err == nil {
		err = other.up(otherName, otherAddress)
	}
	return err
}

func (n *namespace) up(name string, address netip.Addr) error {
	err := n.ip("address", "add", netip.PrefixFrom(address, 24).String(), "dev", name)
	if err == nil {
		err = n.ip("link", "set", name, "up")
	}
	return err
}

func (n *namespace) ip(args ...string) error {
	return n.do(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	})
}

func (n *namespace) close() { unix.Close(n.fd) }
