// SPDX-License-Identifier: Apache-2.0

package status

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEventTexts: each kind has a name of its own and a sentence without a full stop.
func TestEventTexts(t *testing.T) {
	names := map[string]bool{}
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for k := EventKind(1); k.String() != "unknown"; k++ {
		name, _, text := eventText(k)
		if names[name] || !form.MatchString(name) || text == "" || strings.HasSuffix(text, ".") {
			t.Errorf("%d: %q, %q", k, name, text)
		}
		names[name] = true
	}
	if len(names) < 29 {
		t.Errorf("only %d kinds", len(names))
	}
}

func TestEvent(t *testing.T) {
	for _, c := range []struct {
		event Event
		text  string
		level slog.Level
		json  string
	}{
		{NewEvent(SourceJumped, "ptp:eth0", slog.Duration("offset", 1500)), "ptp:eth0 has jumped by 1.5µs", slog.LevelWarn,
			`{"number":7,"time":"1970-01-01T00:00:01Z","kind":"source-jumped","subject":"ptp:eth0","level":"WARN",` +
				`"fields":{"offset_ns":1500},"text":"ptp:eth0 has jumped by 1.5µs"}`},
		{NewEvent(LeapCarriedOut, "", slog.Int("seconds", 38)), "leap second: TAI−UTC is 38 s from now on", slog.LevelInfo,
			`{"number":7,"time":"1970-01-01T00:00:01Z","kind":"leap-carried-out","level":"INFO","fields":{"seconds":38},` +
				`"text":"leap second: TAI−UTC is 38 s from now on"}`},
		{NewEvent(LeapCarriedOut, ""), "leap second", slog.LevelInfo,
			`{"number":7,"time":"1970-01-01T00:00:01Z","kind":"leap-carried-out","level":"INFO","text":"leap second"}`},
		{NewEvent(StateChanged, "", slog.String("state", "locked"),
			slog.Any("reason", Reason{Code: Following, Source: "ntp:{reason}"})),
			"locked: following ntp:{reason}", slog.LevelInfo, ""},
		{NewEvent(StateChanged, "", slog.String("state", "unsynchronised"), slog.Any("reason", Reason{Code: NeverUsable})),
			"unsynchronised: no source has been usable since the start", slog.LevelWarn, ""},
	} {
		if c.event.Text() != c.text || c.event.Level() != c.level {
			t.Errorf("%v %q, want %v %q", c.event.Level(), c.event.Text(), c.level, c.text)
		}
		b, err := json.Marshal(c.event.At(time.Unix(1, 0).UTC(), 7))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.json, string(b)); c.json != "" && d != "" {
			t.Error(d)
		}
	}
}
