// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/metrics"
	"github.com/lockstep-time/lockstep/status/statustest"
)

const doc = "../../docs/reference/metrics.md"

//go:generate go test -run TestDocumentation -update

var update = flag.Bool("update", false, "write the table of docs/reference/metrics.md anew")

func show(s *status.Snapshot) func() *status.Snapshot {
	return func() *status.Snapshot { return s }
}

// own returns the families that are not those of the Go and process collectors, by name.
func own(t *testing.T, e *metrics.Exporter) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := e.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "lockstep_") {
			families[f.GetName()] = f
		}
	}
	return families
}

// series renders a family's samples as "name{label="value"} 1".
func series(f *dto.MetricFamily) []string {
	var lines []string
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		lines = append(lines, fmt.Sprintf("{%s} %v", strings.Join(labels, ","), value))
	}
	return lines
}

func full() *metrics.Exporter {
	e := metrics.New(show(statustest.Locked()))
	e.ObserveOffset("ptp0", -4)
	e.ObserveDelay("ptp:eth0", 1870)
	return e
}

func TestDocumentation(t *testing.T) {
	families := own(t, full())
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	table := "| name | type | labels | what |\n|---|---|---|---|\n"
	for _, name := range names {
		f := families[name]
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n",
			name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), "<!-- begin -->\n")
	written, after, closed := strings.Cut(rest, "<!-- end -->\n")
	if !found || !closed {
		t.Fatalf("%s has no table between <!-- begin --> and <!-- end -->", doc)
	}
	if *update {
		text := before + "<!-- begin -->\n" + table + "<!-- end -->\n" + after
		if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		written = table
	}
	if d := cmp.Diff(written, table); d != "" {
		t.Errorf("%s is out of date (-written +code):\n%s", doc, d)
	}
}

func TestValues(t *testing.T) {
	families := own(t, full())
	for name, want := range map[string][]string{
		"lockstep_state": {
			`{state="acquiring"} 0`, `{state="holdover"} 0`, `{state="locked"} 1`, `{state="panic"} 0`, `{state="starting"} 0`,
			`{state="unsynchronised"} 0`,
		},
		"lockstep_offset_seconds":                   {`{} -1.2e-08`},
		"lockstep_maxerror_seconds":                 {`{} 1.243e-06`},
		"lockstep_tai_offset_seconds":               {`{} 37`},
		"lockstep_clock_frequency_adjustment_ratio": {`{clock="ptp0"} 0.9999699876`, `{clock="system"} 1.00001120488`},
		"lockstep_clock_offset_seconds":             {`{clock="ptp0"} 4e-09`, `{clock="system"} -1.2e-08`},
		"lockstep_clock_crossing_window_seconds":    {`{clock="system",method="extended"} 3.31e-07`},
		"lockstep_source_reach_ratio": {
			`{source="ntp:192.0.2.1"} 1`, `{source="ntp:192.0.2.2"} 0.875`, `{source="ntp:192.0.2.3"} 1`,
		},
		"lockstep_port_link_up": {
			`{domain="0",port="eth0",sdo_id="0",transport="udp4"} 1`, `{domain="24",port="eth1",sdo_id="0",transport="l2"} 0`,
		},
		"lockstep_port_dropped_messages_total": {
			`{domain="0",port="eth0",reason="address",sdo_id="0",transport="udp4"} 3`,
			`{domain="0",port="eth0",reason="no timestamp",sdo_id="0",transport="udp4"} 1`,
			`{domain="0",port="eth0",reason="other domain",sdo_id="0",transport="udp4"} 12`,
		},
		"lockstep_clock_offset_magnitude_seconds": {`{clock="ptp0"} 1`},
		"lockstep_overrun_total":                  {`{} 5`},
		"lockstep_source_transmit_timestamps_total": {
			`{result="foreign",source="ntp:192.0.2.1"} 0`, `{result="late",source="ntp:192.0.2.1"} 0`,
			`{result="lost",source="ntp:192.0.2.1"} 0`, `{result="used",source="ntp:192.0.2.1"} 720`,
		},
		"lockstep_source_sent_datagrams_total": {`{source="ntp:192.0.2.1"} 720`},
	} {
		if d := cmp.Diff(want, series(families[name])); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	buckets := families["lockstep_clock_offset_magnitude_seconds"].GetMetric()[0].GetHistogram().GetBucket()
	for _, b := range buckets {
		if want := uint64(0); b.GetUpperBound() < 4e-9 && b.GetCumulativeCount() != want {
			t.Errorf("an offset of -4 ns is counted up to %v s", b.GetUpperBound())
		}
		if b.GetUpperBound() >= 4e-9 && b.GetCumulativeCount() != 1 {
			t.Errorf("an offset of -4 ns is not counted up to %v s", b.GetUpperBound())
		}
	}
}

// What has not been measured has no metric, instead of one that says 0.
func TestUnknownIsLeftOut(t *testing.T) {
	families := own(t, metrics.New(show(statustest.Starting())))
	for _, name := range []string{"offset_seconds", "maxerror_seconds", "tai_offset_seconds", "clock_offset_seconds",
		"clock_update_timestamp_seconds", "source_offset_seconds", "source_sample_timestamp_seconds"} {
		if f := families["lockstep_"+name]; f != nil {
			t.Errorf("%s has %v", name, series(f))
		}
	}
	if len(own(t, metrics.New(show(nil)))) != 0 {
		t.Error("there are metrics without a snapshot")
	}
}

// Names that appear twice, or are no UTF-8, must not cost the other metrics.
func TestOddSnapshot(t *testing.T) {
	s := statustest.Locked()
	s.Clocks = append(s.Clocks, s.Clocks[0])
	s.Sources = append(s.Sources, s.Sources[0])
	s.Ports = append(s.Ports, s.Ports[0], s.Ports[0])
	s.Ports[len(s.Ports)-1].SdoID = 0x100 // the same but for that
	s.Sources[1].ID, s.Sources[1].Kind = "ntp:\xff", "\xfe"
	e := metrics.New(show(s))
	e.ObserveDelay(s.Sources[1].ID, time.Millisecond)
	families := own(t, e)
	if n := len(families["lockstep_source_info"].GetMetric()); n != 4 {
		t.Errorf("%d sources, want 4", n)
	}
	if got := series(families["lockstep_source_sample_delay_seconds"]); !slices.Equal(got, []string{`{source="ntp:?"} 1`}) {
		t.Errorf("delays: %v", got)
	}
	if got := series(families["lockstep_port_link_up"]); len(got) != 3 {
		t.Errorf("ports: %v", got)
	}
}

// The histograms of sources that come and go must not grow without end.
func TestHistogramsAreBounded(t *testing.T) {
	e := metrics.New(show(statustest.Locked()))
	e.ObserveDelay("ptp:eth0", time.Microsecond)
	for i := range 1000 {
		e.ObserveDelay(source.ID(fmt.Sprintf("ntp:%d", i)), time.Millisecond)
	}
	for range 2 {
		got := series(own(t, e)["lockstep_source_sample_delay_seconds"])
		if !slices.Equal(got, []string{`{source="ptp:eth0"} 1`}) {
			t.Errorf("got %v", got)
		}
	}
	e.ObserveDelay("ntp:192.0.2.1", time.Millisecond)
	if got := series(own(t, e)["lockstep_source_sample_delay_seconds"]); len(got) != 2 {
		t.Errorf("a new source after many has no histogram: %v", got)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	e := full()
	if n := testing.AllocsPerRun(100, func() { e.ObserveOffset("ptp0", 17); e.ObserveDelay("ptp:eth0", 1900) }); n != 0 {
		t.Errorf("%v allocations per observation", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	e := full()
	b.ReportAllocs()
	for b.Loop() {
		e.ObserveOffset("ptp0", 17)
	}
}

func BenchmarkGather(b *testing.B) {
	e := full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Gatherer().Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHandlerHasOneWay(t *testing.T) {
	h := full().Handler()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/metrics", 200}, {"HEAD", "/metrics", 200}, {"POST", "/metrics", 405}, {"GET", "/", 404},
		{"GET", "/debug/pprof/", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- full().Serve(ctx, l) }()
	client := http.Client{Transport: &http.Transport{}}
	answer, err := client.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"lockstep_maxerror_seconds 1.243e-06\n", "\ngo_goroutines ",
		"\nprocess_resident_memory_bytes "} {
		if !strings.Contains(string(body), line) {
			t.Errorf("no %q in the answer", line)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + l.Addr().String() + "/metrics"); err == nil {
		t.Error("it answers after the end")
	}
}

// As many connections as there may be, on which nothing is asked, do not keep a scrape out.
func TestIdleConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- full().Serve(ctx, l) }()
	for i := range 32 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHo") // it may be closed already
		}
	}
	// Less than the time after which a silent connection is closed anyway.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 4 * time.Second}
	answer, err := client.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %s", answer.Status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
