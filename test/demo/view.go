// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/text"
)

// view is a way to show the client's state, and above it what the demonstration is doing.
type view interface {
	// banner says what is being done now.
	banner(text string)
	show(*status.Snapshot)
	// close leaves the output as it was.
	close() error
}

// newView shows a screen on a terminal, and what lockstepctl watch prints anywhere else.
func newView(out io.Writer, bin string, c *client) view {
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		v := &screen{out: f, doors: c.doors(bin), started: time.Now(), style: text.Style{Color: os.Getenv("NO_COLOR") == ""}}
		v.write("\x1b[?1049h\x1b[?25l\x1b[?7l") // alternate screen, no cursor, long lines cut off
		return v
	}
	return &lines{out: &lockedWriter{w: out}, bin: bin, socket: c.cfg.Control.Socket}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// screen is the screen of lockstepctl watch with the banner on top of it, and other ways to look.
type screen struct {
	out     *os.File
	doors   []string
	style   text.Style
	started time.Time
	text    string
	last    *status.Snapshot
}

func (v *screen) banner(text string) {
	v.text = text
	v.draw()
}

func (v *screen) show(s *status.Snapshot) {
	v.last = s
	v.draw()
}

func (v *screen) draw() {
	head := fmt.Sprintf("lockstep demo, %2.0f s | %s", time.Since(v.started).Seconds(), v.text)
	if v.style.Color {
		head = "\x1b[7m" + head + "\x1b[0m"
	}
	all := slices.Concat([]string{head}, v.doors, []string{""})
	if v.last != nil {
		all = append(all, strings.Split(strings.TrimSuffix(text.Status(v.last, v.style), "\n"), "\n")...)
	}
	if size, err := unix.IoctlGetWinsize(int(v.out.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 0 {
		all = all[:min(len(all), int(size.Row))]
	}
	v.write("\x1b[H" + strings.Join(all, "\x1b[K\r\n") + "\x1b[K\x1b[J")
}

func (v *screen) close() error {
	v.write("\x1b[?7h\x1b[?25h\x1b[?1049l")
	if v.last == nil {
		return nil
	}
	_, err := io.WriteString(v.out, text.Status(v.last, v.style)+"\n")
	return err
}

// write in one piece, so that nothing flickers. A terminal that is gone is noticed by the signal that comes with it.
func (v *screen) write(s string) { _, _ = io.WriteString(v.out, s) }

// lines are banners between the lines of lockstepctl watch.
type lines struct {
	out         *lockedWriter
	bin, socket string
	watch       *exec.Cmd
	failed      error
}

func (v *lines) banner(text string) { fmt.Fprintln(v.out, "==", text) }

// show starts lockstepctl once there is something to show.
func (v *lines) show(*status.Snapshot) {
	if v.watch != nil {
		return
	}
	v.watch = exec.Command(filepath.Join(v.bin, "lockstepctl"), "--socket", v.socket, "watch")
	v.watch.Stdout, v.watch.Stderr = v.out, v.out
	v.watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	v.failed = v.watch.Start()
}

func (v *lines) close() error {
	if v.watch == nil || v.failed != nil {
		return v.failed
	}
	err := v.watch.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(stopTime, func() { _ = v.watch.Process.Kill() })
	defer late.Stop()
	if err := errors.Join(err, v.watch.Wait()); err != nil {
		return fmt.Errorf("lockstepctl watch: %w", err)
	}
	return nil
}

// lockedWriter is written to by the demonstration and by what it started.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
