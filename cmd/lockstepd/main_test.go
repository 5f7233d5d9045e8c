// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/hwts/nic"
)

// TestEmptyFileNames checks that an unset variable in a script does not start a daemon.
func TestEmptyFileNames(t *testing.T) {
	for _, flag := range []string{"--check", "--config"} {
		c := command()
		c.SetArgs([]string{flag, ""})
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("lockstepd %s '': %v", flag, err)
		}
	}
}

// TestFileNames has one file named, in one of two ways.
func TestFileNames(t *testing.T) {
	for _, c := range []struct {
		config       string
		given, check bool
		args         []string
		want         string
		ok           bool
	}{
		{"", false, false, nil, "", true},
		{"", false, true, nil, "", true},
		{"a", true, false, nil, "a", true},
		{"a", true, true, nil, "a", true},
		{"", false, true, []string{"b"}, "b", true},
		{"", false, false, []string{"b"}, "", false},
		{"a", true, true, []string{"b"}, "", false},
		{"", false, true, []string{"b", "c"}, "", false},
	} {
		got, err := configFile(c.config, c.given, c.check, c.args)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// host has a NIC, a VLAN on it, one whose driver only tells the time, and one without a clock.
func host() ([]nic.Capabilities, error) {
	const stamps = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	return []nic.Capabilities{
		{Interface: "eth0", NIC: "eth0", PHC: 0, Flags: stamps, TxTypes: 1 << nic.TxOn},
		{Interface: "eth0.7", NIC: "eth0", PHC: 0, Flags: stamps, TxTypes: 1 << nic.TxOn},
		{Interface: "eth1", NIC: "eth1", PHC: 1},
		{Interface: "wlan0", NIC: "wlan0", PHC: -1},
		{Interface: "eth2", NIC: "eth2", PHC: 2, Flags: stamps, TxTypes: 1 << nic.TxOn},
	}, nil
}

func TestNICs(t *testing.T) {
	all, _ := host()
	if got := nics(all); !slices.Equal(got, []string{"eth0", "eth2"}) {
		t.Errorf("ports on %v", got)
	}
}

// TestCheckOfWhatTheHostHas prints what would run for a file without sources, and nothing of the host for one that has some.
func TestCheckOfWhatTheHostHas(t *testing.T) {
	check := func(config string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "lockstepd.toml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := describe(&out, file, host); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	out := check("[log]\nlevel = \"warn\"\n")
	for _, want := range []string{"PTP port eth0, ", "PTP port eth2, ", "NTP pool ", "interface = \"eth2\"", "logs warn"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if out := check("[[ntp.server]]\naddress = \"192.0.2.1\"\n"); strings.Contains(out, "eth0") {
		t.Errorf("it would use what nobody has asked for:\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "none.toml")
	if err := describe(io.Discard, file, host); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is not there: %v", err)
	}
}

func TestReloadFindsTheSame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lockstepd.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var read [2]*configs.Config
	for i := range read {
		var err error
		if read[i], err = load(file, host); err != nil {
			t.Fatal(err)
		}
	}
	if !cmp.Equal(read[0], read[1]) || !read[0].Discovered {
		t.Errorf("(-first +second):\n%s", cmp.Diff(read[0], read[1]))
	}
}

func TestLogCannotSpeakToTheTerminal(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		logger(&b, configs.Log{Level: "info", Format: format}).Info("\x1b]0;x\a", "what", "\u009b31m\x7f\xff", "\u0085", 1)
		line := strings.TrimSuffix(b.String(), "\n")
		if !strings.Contains(line, "31m") || strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Errorf("%s: %q", format, line)
		}
	}
}
