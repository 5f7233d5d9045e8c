// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	ntpToUnix     = 2_208_988_800 // seconds from 1900 to 1970
	maxLeapSecond = math.MaxInt64/int64(time.Second) - maxLeapOffset
	maxLeapOffset = 1000
	maxLeapDigits = 18
	secondsPerDay = 86_400
)

// ParseLeapSeconds reads the content of the file name in the format of the leap-seconds.list of the IERS and of NIST. A
// malformed line is an error with name and number of the line; so is data whose SHA-1 hash is missing or wrong, or of more
// than MaxLeapFile bytes.
func ParseLeapSeconds(name string, data []byte) (*LeapTable, error) {
	if len(data) > MaxLeapFile {
		return nil, fmt.Errorf("clock: load leap seconds: %s: larger than %d bytes", name, MaxLeapFile)
	}
	var p leapParser
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if err := p.line(strings.TrimRight(string(line), "\r\n")); err != nil {
			return nil, fmt.Errorf("clock: load leap seconds: %s:%d: %w", name, number, err)
		}
	}
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("clock: load leap seconds: %s: %w", name, err)
	}
	return &p.table, nil
}

// leapParser collects what the lines say. The hash covers the digits of all numbers in the order of the file.
type leapParser struct {
	table                          LeapTable
	digits                         []byte
	hash                           [sha1.Size]byte
	hasUpdated, hasExpires, hashed bool
}

func (p *leapParser) line(s string) error {
	switch {
	case strings.HasPrefix(s, "#$"):
		return p.date(s[2:], &p.table.updated, &p.hasUpdated)
	case strings.HasPrefix(s, "#@"):
		return p.date(s[2:], &p.table.expires, &p.hasExpires)
	case strings.HasPrefix(s, "#h"):
		return p.digest(strings.Fields(s[2:]))
	}
	s, _, _ = strings.Cut(s, "#")
	if fields := strings.Fields(s); len(fields) > 0 {
		return p.entry(fields)
	}
	return nil
}

func (p *leapParser) date(s string, sec *int64, seen *bool) (err error) {
	if *seen {
		return errors.New("a second line of this kind")
	}
	*seen = true
	fields := strings.Fields(s)
	if len(fields) != 1 {
		return fmt.Errorf("%d fields where one number of seconds since 1900 is due", len(fields))
	}
	*sec, err = p.seconds(fields[0])
	return err
}

func (p *leapParser) digest(words []string) error {
	if p.hashed {
		return errors.New("a second hash")
	}
	p.hashed = true
	if len(words) != sha1.Size/4 {
		return fmt.Errorf("a hash of %d words instead of %d", len(words), sha1.Size/4)
	}
	for i, w := range words {
		// Some issues of the list leave out the leading zeros of a word.
		v, err := strconv.ParseUint(w, 16, 32)
		if err != nil || len(w) > 8 {
			return fmt.Errorf("word %d of the hash is not of 1 to 8 hexadecimal digits", i+1)
		}
		binary.BigEndian.PutUint32(p.hash[4*i:], uint32(v))
	}
	return nil
}

func (p *leapParser) entry(fields []string) error {
	if len(fields) != 2 {
		return fmt.Errorf("%d fields where seconds since 1900 and TAI − UTC are due", len(fields))
	}
	utc, err := p.seconds(fields[0])
	if err != nil {
		return err
	}
	offset, err := p.number(fields[1], maxLeapOffset)
	if err != nil {
		return err
	}
	if utc%secondsPerDay != 0 {
		return fmt.Errorf("%s is not a UTC midnight", fields[0])
	}
	e := leapEntry{utc, int(offset)}
	if n := len(p.table.entries); n > 0 {
		last := p.table.entries[n-1]
		if e.utc <= last.utc {
			return errors.New("not later than the line before")
		}
		if step := e.offset - last.offset; step != 1 && step != -1 {
			return fmt.Errorf("TAI − UTC changes by %d s at once", step)
		}
	}
	p.table.entries = append(p.table.entries, e)
	return nil
}

// seconds returns seconds since 1900 as seconds since 1970.
func (p *leapParser) seconds(s string) (int64, error) {
	n, err := p.number(s, maxLeapSecond+ntpToUnix)
	return n - ntpToUnix, err
}

func (p *leapParser) number(s string, limit int64) (int64, error) {
	if len(s) > maxLeapDigits {
		return 0, fmt.Errorf("a number of %d digits", len(s))
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, err
	}
	if int64(n) > limit {
		return 0, fmt.Errorf("%s is more than %d", s, limit)
	}
	p.digits = append(p.digits, s...)
	return int64(n), nil
}

func (p *leapParser) complete() error {
	switch {
	case len(p.table.entries) == 0:
		return errors.New("no leap seconds")
	case !p.hasUpdated:
		return errors.New("no date of the last update (#$)")
	case !p.hasExpires:
		return errors.New("no date of expiry (#@)")
	case !p.hashed:
		return errors.New("no hash (#h)")
	}
	if sum := sha1.Sum(p.digits); sum != p.hash {
		return fmt.Errorf("hash is %x, but the content has %x", p.hash, sum)
	}
	p.table.entries = slices.Clip(p.table.entries)
	return nil
}
