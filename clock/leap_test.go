// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/facebook/time/leaphash"
)

const list = "testdata/leap-seconds.list"

func loadList(t *testing.T) *LeapTable {
	t.Helper()
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	table, err := ParseLeapSeconds(list, data)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func utc(year int, month time.Month, day int) Instant {
	return Instant{time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixNano(), UTC}
}

func (i Instant) plus(d time.Duration) Instant { return Instant{i.Nanoseconds + int64(d), i.Scale} }

// hashed returns lines as a list with its hash, which is computed elsewhere.
func hashed(lines ...string) []byte {
	text := strings.Join(lines, "\n") + "\n"
	return []byte(text + "#h\t" + leaphash.Compute(text) + "\n")
}

func TestLeapTableOfTheIERS(t *testing.T) {
	table := loadList(t)
	if got, want := table.Updated(), utc(2025, time.July, 7); got != want {
		t.Errorf("updated %v, want %v", got, want)
	}
	if got, want := table.Expires(), utc(2026, time.June, 28); got != want {
		t.Errorf("expires %v, want %v", got, want)
	}
	for _, c := range []struct {
		at   Instant
		want int
		ok   bool
	}{
		{utc(1972, time.January, 1).plus(-1), 0, false},
		{utc(1972, time.January, 1), 10, true},
		{utc(1999, time.June, 15), 32, true},
		{utc(2017, time.January, 1).plus(-1), 36, true},
		{utc(2017, time.January, 1), 37, true},
		{utc(2100, time.January, 1), 37, true},
		{Instant{utc(2017, time.January, 1).Nanoseconds, Arbitrary}, 0, false},
		{Instant{utc(2017, time.January, 1).Nanoseconds, UnknownScale}, 0, false},
	} {
		if got, ok := table.TAIOffset(c.at); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %t, want %d, %t", c.at, got, ok, c.want, c.ok)
		}
	}
}

func TestLeapTableOnTAIPutsAnInsertedSecondBeforeMidnight(t *testing.T) {
	table := loadList(t)
	midnight, _ := utc(2017, time.January, 1).TAIFromUTC(37)
	for _, c := range []struct {
		at   Instant
		want int
	}{
		{midnight, 37},
		{midnight.plus(-1), 36},               // 23:59:60.999999999
		{midnight.plus(-time.Second), 36},     // 23:59:60
		{midnight.plus(-time.Second - 1), 36}, // 23:59:59.999999999
		{midnight.plus(-365 * 24 * time.Hour), 36},
	} {
		if got, ok := table.TAIOffset(c.at); got != c.want || !ok {
			t.Errorf("%v from midnight: %d, %t, want %d", time.Duration(c.at.Nanoseconds-midnight.Nanoseconds), got, ok, c.want)
		}
	}
}

func TestNextLeap(t *testing.T) {
	table := loadList(t)
	midnight := utc(2017, time.January, 1)
	onTAI, _ := midnight.TAIFromUTC(37)
	const day = 24 * time.Hour
	for _, c := range []struct {
		at     Instant
		within time.Duration
		want   Leap
	}{
		{midnight.plus(-day), day, LeapInsert},
		{midnight.plus(-day), day - 1, NoLeap},
		{midnight.plus(-1), day, LeapInsert},
		{midnight, 10 * 365 * day, NoLeap},
		{midnight.plus(-day), -1, NoLeap},
		{onTAI.plus(-day), day, LeapInsert},
		{onTAI.plus(-1), 1, LeapInsert}, // in the middle of it
		{onTAI, day, NoLeap},
		{Instant{midnight.Nanoseconds - 1, Arbitrary}, day, NoLeap},
	} {
		got, when := table.NextLeap(c.at, c.within)
		if got != c.want {
			t.Errorf("%v within %v: %d, want %d", c.at, c.within, got, c.want)
		}
		if want := (Instant{}); got == NoLeap && when != want || got != NoLeap && when != midnight {
			t.Errorf("%v within %v: at %v", c.at, c.within, when)
		}
	}
	if leap, when := table.NextLeap(Instant{-1 << 63, UTC}, 1<<63-1); leap != NoLeap {
		t.Errorf("%d at %v is more than 292 years ahead", leap, when)
	}
	if leap, when := table.NextLeap(utc(1971, time.December, 1), 365*day); leap != LeapInsert ||
		when != utc(1972, time.July, 1) {
		t.Errorf("the first leap second: %d at %v", leap, when)
	}
}

func TestLeapTableWithADeletedSecond(t *testing.T) {
	table, err := ParseLeapSeconds("future", hashed("#$ 3960835200", "#@ 4102444800", "3692217600 37", "4070908800 36"))
	if err != nil {
		t.Fatal(err)
	}
	midnight := utc(2029, time.January, 1)
	leap, when := table.NextLeap(midnight.plus(-time.Hour), time.Hour)
	if leap != LeapDelete || when != midnight {
		t.Errorf("%d at %v", leap, when)
	}
	// 23:59:58 has the last TAI second with 37.
	at := Instant{midnight.Nanoseconds - int64(time.Second) + 37*int64(time.Second), TAI}
	if got, _ := table.TAIOffset(at); got != 36 {
		t.Errorf("at midnight on TAI %d", got)
	}
	if got, _ := table.TAIOffset(at.plus(-1)); got != 37 {
		t.Errorf("before midnight on TAI %d", got)
	}
}

func TestParseLeapSecondsNamesTheLine(t *testing.T) {
	good := []string{"#$ 3960835200", "#@ 3991593600", "3644697600 36", "3692217600 37 # 1 Jan 2017"}
	if _, err := ParseLeapSeconds("good", hashed(good...)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line int // 0: the whole file
		text string
		says string
	}{
		{1, "#$ 3960835200 1", "f.list:1: 2 fields"},
		{1, "#$", "f.list:1: 0 fields"},
		{1, "#$ -1", "f.list:1:"},
		{1, "# nothing", "f.list: no date of the last update"},
		{2, "#@ soon", "f.list:2:"},
		{2, "#@ 99999999999", "f.list:2: 99999999999 is more than"},
		{2, "#@ " + strings.Repeat("9", 5000), "f.list:2: a number of 5000 digits"},
		{2, "#$ 3960835200", "f.list:2: a second"},
		{2, "", "f.list: no date of expiry"},
		{3, "3644697600", "f.list:3: 1 fields"},
		{3, "3644697600 36 37", "f.list:3: 3 fields"},
		{3, "3644697601 36", "f.list:3: 3644697601 is not a UTC midnight"},
		{3, "3692217600 36", "f.list:4: not later"},
		{3, "3644697600 35", "f.list:4: TAI − UTC changes by 2 s"},
		{3, "3644697600 1001", "f.list:3: 1001 is more than"},
		{3, "3644697600 +36", "f.list:3:"},
		{4, "#h 1 2 3 4", "f.list:4: a hash of 4 words"},
		{4, "#h 1 2 3 4 g", "f.list:4: word 5"},
		{4, "#h 1 2 3 4 000000005", "f.list:4: word 5"},
		{4, "#h 1 2 3 4 5", "f.list:5: a second hash"},
	} {
		lines := append([]string(nil), good...)
		lines[c.line-1] = c.text
		_, err := ParseLeapSeconds("f.list", hashed(lines...))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.says)
		}
	}
	if _, err := ParseLeapSeconds("f.list", hashed(good[:2]...)); err == nil ||
		!strings.Contains(err.Error(), "no leap seconds") {
		t.Errorf("without entries: %v", err)
	}
}

func TestParseLeapSecondsChecksTheHash(t *testing.T) {
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), "#@\t3991593600", "#@\t3991593601", 1)
	if _, err := ParseLeapSeconds(list, []byte(changed)); err == nil || !strings.Contains(err.Error(), "hash is 49db2447") {
		t.Errorf("a changed file: %v", err)
	}
	cut, _, _ := strings.Cut(string(data), "#h")
	if _, err := ParseLeapSeconds(list, []byte(cut)); err == nil || !strings.Contains(err.Error(), "no hash") {
		t.Errorf("a file cut short: %v", err)
	}
	dos := strings.ReplaceAll(string(data), "\n", "\r\n")
	if _, err := ParseLeapSeconds(list, []byte(dos)); err != nil {
		t.Errorf("with other line ends: %v", err)
	}
}

func TestParseLeapSecondsTakesHashesWithoutLeadingZeros(t *testing.T) {
	for updated := int64(3960835200); ; updated++ {
		lines := []string{fmt.Sprintf("#$ %d", updated), "#@ 3991593600", "3692217600 37"}
		data := string(hashed(lines...))
		short := strings.ReplaceAll(data, " 0", " ")
		if short == data {
			continue
		}
		if _, err := ParseLeapSeconds("short", []byte(short)); err != nil {
			t.Error(err)
		}
		return
	}
}

func FuzzParseLeapSeconds(f *testing.F) {
	data, err := os.ReadFile(list)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(hashed("#$ 3960835200", "#@ 4102444800", "3692217600 37", "4070908800 36"))
	f.Add([]byte("#$\n#@\n#h\n1 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, content := range [][]byte{data, hashed(string(data))} {
			table, err := ParseLeapSeconds("fuzz", content)
			if (table == nil) == (err == nil) {
				t.Fatalf("table %v, error %v", table, err)
			}
			if err != nil {
				continue
			}
			checkTable(t, table)
		}
	})
}

// checkTable walks a table from leap second to leap second, on both scales.
func checkTable(t *testing.T, table *LeapTable) {
	first := table.entries[0]
	for _, s := range []Scale{UTC, TAI} {
		at := Instant{first.start(s), s}
		offset, ok := table.TAIOffset(at)
		if !ok || offset != first.offset {
			t.Fatalf("first offset %d, %t", offset, ok)
		}
		for i, e := range table.entries[1:] {
			leap, when := table.NextLeap(at, 1<<63-1)
			if leap != Leap(e.offset-offset) || when != unixUTC(e.utc) {
				t.Fatalf("leap second %d: %d at %v", i, leap, when)
			}
			offset += int(leap)
			at.Nanoseconds = e.start(s)
			if got, ok := table.TAIOffset(at); !ok || got != offset {
				t.Fatalf("after leap second %d: %d, %t", i, got, ok)
			}
		}
		if leap, when := table.NextLeap(at, 1<<63-1); leap != NoLeap {
			t.Fatalf("one more: %d at %v", leap, when)
		}
	}
}
