// SPDX-License-Identifier: Apache-2.0

package plain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/internal/plain"
)

func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "igb": "igb", "TAI − UTC, 5 µs": "TAI − UTC, 5 µs",
		"\x1b]0;x\a": "?]0;x?", "\u009b31m": "?31m", "a\x7fb": "a?b", "a\nb\tc\r": "a?b?c?", "\xff\xc2": "??",
		"\u202eabc": "?abc", "\u200b": "?",
	} {
		if got := plain.Text(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestLinesKeepsLineBreaks(t *testing.T) {
	if got, want := plain.Lines("a\n\tb\r\x1b[2J\u0085\u2028"), "a\n\tb??[2J??"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{strings.Repeat("a", 256), strings.Repeat("a", 256)}, {strings.Repeat("µ", 256), strings.Repeat("µ", 256)},
		{strings.Repeat("µ", 257), strings.Repeat("µ", 255) + "…"},
		{strings.Repeat("\xff", 300), strings.Repeat("?", 255) + "…"}, {"\x1b", "?"},
	} {
		if got := plain.Short(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "octets"))
		got := plain.Short(s)
		if n := utf8.RuneCountInString(got); n > plain.Longest || n < min(plain.Longest, utf8.RuneCountInString(s)) {
			t.Errorf("%d characters of %d", n, utf8.RuneCountInString(s))
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q does not print", got)
		}
	})
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":"µs"}`:                 `{"a":"µs"}`,
		"\"\u009b31m\x7f\"":          `"\u009b31m\u007f"`,
		"\"\x7f\x7f\u0080\u009f\"\n": `"\u007f\u007f\u0080\u009f"` + "\n",
		"\"\u00a0\u00ff\"":           "\"\u00a0\u00ff\"",
		"\xc2":                       "\xc2", // no JSON, but no reason to fail either
	} {
		if got := string(plain.JSON([]byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestJSONSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\x1b\x7f\u0080\u009b\u009f\u00a0Âa\"\\")))).Draw(t,
			"text")
		b, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		b = plain.JSON(b)
		var back map[string]string
		if err := json.Unmarshal(b, &back); err != nil || back[s] != s {
			t.Errorf("%q comes back from %q as %q: %v", s, b, back, err)
		}
		if bytes.ContainsFunc(b, unicode.IsControl) {
			t.Errorf("%q has control characters", b)
		}
	})
}

func TestNothingToDoAllocatesNothing(t *testing.T) {
	b, s := []byte(`{"reason":"1.5 µs"}`), "TAI − UTC"
	if n := testing.AllocsPerRun(100, func() { _, _, _ = plain.JSON(b), plain.Text(s), plain.Short(s) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

type failing struct{ n int }

func (f failing) Write([]byte) (int, error) { return f.n, errors.New("full") }

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	in := "\"\u009b\"\n"
	if n, err := plain.Writer(&b).Write([]byte(in)); n != len(in) || err != nil || b.String() != "\"\\u009b\"\n" {
		t.Errorf("%d, %v: %q", n, err, b.String())
	}
	if n, err := plain.Writer(failing{8}).Write([]byte(in)); n > len(in) || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}
