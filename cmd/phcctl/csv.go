// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// csvFile takes comparisons as comma-separated values; the zero one takes none.
type csvFile struct {
	file *os.File
	w    *bufio.Writer
}

// openCSV creates the file, "-" being standard output and "" none.
func openCSV(name string, stdout io.Writer) (*csvFile, error) {
	c := &csvFile{}
	switch name {
	case "":
		return c, nil
	case "-":
		c.w = bufio.NewWriter(stdout)
	default:
		f, err := os.Create(name)
		if err != nil {
			return nil, fmt.Errorf("--csv: %w", err)
		}
		c.file, c.w = f, bufio.NewWriter(f)
	}
	fmt.Fprintln(c.w, "at_ns,offset_ns,uncertainty_ns,method")
	return c, nil
}

func (c *csvFile) add(x *comparison) {
	if c.w != nil {
		fmt.Fprintf(c.w, "%d,%d,%d,%s\n", x.At, x.Nanoseconds, x.Uncertainty, x.Method)
		c.w.Flush()
	}
}

func (c *csvFile) close() error {
	if c.w == nil {
		return nil
	}
	err := c.w.Flush()
	if c.file != nil {
		err = errors.Join(err, c.file.Close())
	}
	if err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}
