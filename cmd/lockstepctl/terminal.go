// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// terminal is a terminal on which a screen is drawn again and again. The sequences are those of ECMA-48 and xterm.
type terminal struct {
	out io.Writer
	// rows returns the height of the window, 0 if unknown.
	rows func() int
}

// terminalOf returns nil if f is no terminal.
func terminalOf(f *os.File) *terminal {
	size := func() (*unix.Winsize, error) { return unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ) }
	if _, err := size(); err != nil {
		return nil
	}
	return &terminal{out: f, rows: func() int {
		w, err := size()
		if err != nil {
			return 0
		}
		return int(w.Row)
	}}
}

// begin turns to the alternate screen, hides the cursor and lets long lines be cut off instead of wrapped.
func (t *terminal) begin() error { return t.write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J") }

// end undoes begin.
func (t *terminal) end() error { return t.write("\x1b[?7h\x1b[?25h\x1b[?1049l") }

// draw replaces what is on the screen, in one write so that nothing flickers. Lines that do not fit are left out.
func (t *terminal) draw(screen string) error {
	lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
	if rows := t.rows(); rows > 0 && len(lines) > rows {
		left := len(lines) - rows + 1
		lines = append(lines[:rows-1], fmt.Sprintf("… %d more lines", left))
	}
	return t.write("\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\x1b[J")
}

func (t *terminal) write(s string) error {
	_, err := io.WriteString(t.out, s)
	return err
}
