// SPDX-License-Identifier: Apache-2.0

// Package plain makes of text that others have chosen what a terminal only shows. The names of other users' processes, what
// drivers and devices call themselves, and what answers on a socket may have control characters, which a terminal obeys.
package plain

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with a question mark for every character that does not print, line breaks included, and for every octet
// that is not UTF-8.
func Text(s string) string { return strings.Map(shown, s) }

// Lines is Text that keeps line breaks and tabs.
func Lines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return shown(r)
	}, s)
}

func shown(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// Longest is how many characters Short returns at most. The names that the kernel gives are shorter, and so is a sentence
// that says what is wrong; more would only push everything else off the screen.
const Longest = 256

// Short is Text of Longest characters at most: the last one is an ellipsis where there are more.
func Short(s string) string {
	n := 0
	for i := range s {
		if n++; n == Longest && i+1 < len(s) && utf8.RuneCountInString(s[i:]) > 1 {
			return Text(s[:i]) + "…"
		}
	}
	return Text(s)
}

// JSON returns a JSON text with \u escapes for what encoding/json leaves as it is although terminals obey it: U+007F to
// U+009F, which only strings can have. Where there is nothing to do it returns b.
func JSON(b []byte) []byte {
	i := control(b)
	if i < 0 {
		return b
	}
	const digits = "0123456789abcdef"
	out := append(make([]byte, 0, len(b)+64), b[:i]...)
	for i < len(b) {
		c, n := b[i], 1
		if c != 0x7f {
			c, n = b[i+1], 2
		}
		out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		b = b[i+n:]
		if i = control(b); i < 0 {
			i = len(b)
		}
		out = append(out, b[:i]...)
	}
	return out
}

// control returns where the first of U+007F to U+009F begins, −1 if there is none.
func control(b []byte) int {
	for i, c := range b {
		if c == 0x7f || c == 0xc2 && i+1 < len(b) && b[i+1] >= 0x80 && b[i+1] <= 0x9f {
			return i
		}
	}
	return -1
}

// Writer returns a writer of JSON to w, with the escapes of JSON. Each Write takes whole characters.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ w io.Writer }

func (w writer) Write(b []byte) (int, error) {
	escaped := JSON(b)
	n, err := w.w.Write(escaped)
	if err == nil && n < len(escaped) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return min(n, len(b)), err
	}
	return len(b), nil
}
