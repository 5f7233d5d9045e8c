// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/lockstep-time/lockstep/internal/files"
)

// csvFile takes comparisons as comma-separated values; the zero one takes none.
type csvFile struct {
	file *os.File
	w    io.Writer
}

// openCSV creates the file, "-" being standard output and "" none, with its head.
func openCSV(name string, stdout io.Writer) (*csvFile, error) {
	c := &csvFile{}
	switch name {
	case "":
		return c, nil
	case "-":
		c.w = stdout
	default:
		f, err := files.Create(name)
		if err != nil {
			return nil, fmt.Errorf("--csv: %w", err)
		}
		c.file, c.w = f, f
	}
	if err := c.line("at_ns,offset_ns,uncertainty_ns,method"); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// line writes one line at once, so that what is not written is known at once.
func (c *csvFile) line(s string) error {
	if _, err := io.WriteString(c.w, s+"\n"); err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}

func (c *csvFile) add(x *comparison) error {
	if c.w == nil {
		return nil
	}
	return c.line(fmt.Sprintf("%d,%d,%d,%s", x.At, x.Nanoseconds, x.Uncertainty, x.Method))
}

func (c *csvFile) close() error {
	if c.file == nil {
		return nil
	}
	if err := c.file.Close(); err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}
