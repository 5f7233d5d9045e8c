// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/statustest"
)

// evil is text that sets a terminal's title, its colour, and is no UTF-8.
const evil = "\x1b]0;x\a\u009b31m\x7f\xff\r\n\u202e"

// spoil replaces all texts of a value.
func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil)
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				spoil(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if value := v.MapIndex(key); key.Kind() == reflect.String {
				v.SetMapIndex(key, reflect.Value{})
				v.SetMapIndex(reflect.ValueOf(evil).Convert(key.Type()), value)
			}
		}
	}
}

func spoiled(t *testing.T) []byte {
	t.Helper()
	s := statustest.Locked()
	spoil(reflect.ValueOf(s))
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("]0;x")); n < 50 {
		t.Fatalf("only %d texts are spoiled", n)
	}
	return b
}

// listener answers on a socket in the daemon's place until the test ends.
func listener(t *testing.T, answer http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(answer)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

// harmless checks what a terminal is given.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8: %q", what, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
		t.Errorf("%s has a control character: %q", what, text[max(0, i-40):min(len(text), i+40)])
	}
}

func TestHostileSnapshot(t *testing.T) {
	line := append(spoiled(t), '\n')
	socket := listener(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(line) })
	for _, command := range []string{"status", "sources", "clocks", "ports", "wait --timeout 0s", "watch"} {
		for _, form := range []string{"", " --json"} {
			var out, complaints bytes.Buffer
			ctx, cancel := context.WithCancel(context.Background())
			a := &app{out: writerFunc(func(b []byte) {
				out.Write(b)
				if command == "watch" {
					cancel()
				}
			}), err: &complaints}
			err := run(ctx, a, strings.Fields("--socket "+socket+" "+command+form)...)
			cancel()
			if (err != nil) != strings.HasPrefix(command, "wait") || !strings.Contains(out.String(), "]0;x") {
				t.Errorf("%s%s: %v; %q", command, form, err, out.String())
			}
			harmless(t, command+form, out.String())
			if err != nil {
				harmless(t, command+form+": the error", err.Error())
			}
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// TestHostileAnswers has what listens there answer with anything but a snapshot.
func TestHostileAnswers(t *testing.T) {
	refusal, err := json.Marshal(map[string]string{"error": evil + strings.Repeat("x", 3000)})
	if err != nil {
		t.Fatal(err)
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}
	code := func(code int, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write(body)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"status line":  raw("HTTP/1.1 500 " + strings.TrimRight(evil, "\r\n\u202e") + "\r\nContent-Length: 0\r\n\r\n"),
		"no HTTP":      raw(evil),
		"wrong header": raw("HTTP/1.1 200 OK\r\n" + evil + ": x\r\n\r\n"),
		"redirected":   raw("HTTP/1.1 302 Found\r\nLocation: http://\x1b[31m/\r\n\r\n"),
		"refused":      code(http.StatusConflict, refusal),
		"not ready":    code(http.StatusServiceUnavailable, refusal),
		"not JSON":     code(http.StatusOK, []byte(evil)),
		"wrong state":  code(http.StatusOK, []byte(`{"state": 1, "`+evil+`": 2}`)),
		"wrong time":   code(http.StatusOK, []byte(`{"time": "`+"\u009b31m\x7f"+`"}`+"\n")),
	} {
		socket := listener(t, answer)
		for _, command := range []string{"status", "watch", "resume", "wait --timeout 0s", "status --json"} {
			var out, complaints bytes.Buffer
			err := run(context.Background(), &app{out: &out, err: &complaints}, strings.Fields("--socket "+socket+" "+command)...)
			if err == nil {
				if command != "resume" {
					t.Errorf("%s, %s: no error", name, command)
				}
				continue
			}
			printed := plain.Lines(err.Error()) // as main does
			harmless(t, name+", "+command, out.String()+printed)
			if printed != err.Error() {
				t.Errorf("%s, %s: it takes main to clean the error %q", name, command, err)
			}
			if len(printed) > 2*plain.Longest {
				t.Errorf("%s, %s: an error of %d octets", name, command, len(printed))
			}
		}
	}
}

// TestHostileEndOfWatch has a watch end with what is no snapshot.
func TestHostileEndOfWatch(t *testing.T) {
	socket := listener(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "{}\n{\"time\":\"\u009b31m\x7f\"}\n")
	})
	for _, wide := range []bool{false, true} {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(context.Background())
		shown := writerFunc(func(b []byte) {
			out.Write(b)
			if strings.Contains(out.String(), "parsing time") {
				cancel()
			}
		})
		a := &app{out: shown, noColor: true}
		if wide {
			a.terminal = &terminal{out: shown, rows: func() int { return 50 }}
		}
		if err := run(ctx, a, "--socket", socket, "watch"); err != nil {
			t.Error(err)
		}
		cancel()
		if wide { // that redraws the screen by sequences of its own
			if strings.ContainsAny(out.String(), "\u009b\x7f") {
				t.Errorf("%q", out.String())
			}
			continue
		}
		harmless(t, "watch", out.String())
	}
}

func TestLateSaysWhyInOneHarmlessLine(t *testing.T) {
	err := late(goal{state: status.Locked}, 0, &status.Snapshot{State: evil, Reason: evil}, nil)
	if got := err.Error(); plain.Text(got) != got || !strings.Contains(got, "]0;x") {
		t.Errorf("%q", got)
	}
}
