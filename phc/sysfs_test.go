// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree makes a file system of files (with contents) and links (with targets, relative to the root).
func tree(t *testing.T, files, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, target := range links {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if target[0] != '/' {
			target = filepath.Join(root, target)
		}
		if err := os.Symlink(target, full); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const pci = "sys/devices/pci0000:00/0000:01:00.0"

// null and zero are the numbers of /dev/null and /dev/zero, which play ptp0 and ptp12: devices that every machine has.
const null, zero = "1:3", "1:5"

// host has an igb NIC with the clock ptp0, a VLAN on it, a virtual clock ptp1 on ptp0, a platform device's clock ptp12,
// and an interface without clock.
func host(t *testing.T) string {
	return tree(t, map[string]string{
		pci + "/ptp/ptp0/clock_name":               "82576",
		pci + "/ptp/ptp0/n_vclocks":                "1",
		pci + "/ptp/ptp0/dev":                      null,
		pci + "/ptp/ptp0/max_vclocks":              "20",
		pci + "/ptp/ptp0/ptp1/clock_name":          "ptp0_virt",
		pci + "/net/eth0/address":                  "52:54:00:12:34:56",
		"sys/devices/platform/tbed/clock_name":     "tbed",
		"sys/devices/virtual/net/lo/address":       "00:00:00:00:00:00",
		"sys/devices/virtual/net/eth0.5/address":   "52:54:00:12:34:56",
		"sys/class/ptp/ptp12/clock_name":           "tbed",
		"sys/class/ptp/ptp12/dev":                  zero,
		"sys/class/ptp/ptpx/clock_name":            "not a number",
		"sys/devices/ptp/ptp0/keep":                "",
		"proc/20/comm":                             "ptp4l",
		"proc/20/fdinfo/5":                         "pos:\t0\nflags:\t0100002\nmnt_id:\t5",
		"proc/21/comm":                             "reader",
		"proc/21/fdinfo/3":                         "pos:\t0\nflags:\t0100000",
		"proc/22/comm":                             "other",
		"proc/self/comm":                           "me",
		"sys/bus/pci/drivers/igb/module":           "",
		"sys/devices/virtual/net/eth0.5/lower_etc": "",
	}, map[string]string{
		"sys/class/ptp/ptp0":                        pci + "/ptp/ptp0",
		"sys/class/ptp/ptp1":                        pci + "/ptp/ptp0/ptp1",
		"sys/class/ptp/ptp12/device":                "sys/devices/platform/tbed",
		pci + "/ptp/ptp0/device":                    pci,
		pci + "/ptp/ptp0/ptp1/device":               pci + "/ptp/ptp0",
		pci + "/driver":                             "sys/bus/pci/drivers/igb",
		pci + "/net/eth0/device":                    pci,
		"sys/class/net/eth0":                        pci + "/net/eth0",
		"sys/class/net/lo":                          "sys/devices/virtual/net/lo",
		"sys/class/net/eth0.5":                      "sys/devices/virtual/net/eth0.5",
		"sys/devices/virtual/net/eth0.5/lower_eth0": pci + "/net/eth0",
		"dev/my-clock":                              "dev/ptp0",
		"srv/clock":                                 "/dev/zero",
		"dev/zero-clock":                            "dev/zero",
		"proc/20/fd/5":                              "/dev/null",
		"proc/21/fd/3":                              "srv/alias",
		"srv/alias":                                 "/dev/null",
		"proc/22/fd/3":                              "/dev/zero",
		"proc/22/fd/4":                              "sys/class/ptp",
		"proc/22/fd/5":                              "socket:[1]",
		"proc/30/fd/3":                              "/dev/null",
	})
}

func TestList(t *testing.T) {
	got, err := list(host(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []Info{
		{Index: 0, Device: "/dev/ptp0", ClockName: "82576", Driver: "igb", Bus: "0000:01:00.0",
			Interfaces: []string{"eth0"}, Parent: -1, VirtualClocks: 1, MaxVirtualClocks: 20},
		{Index: 1, Device: "/dev/ptp1", ClockName: "ptp0_virt", Driver: "ptp0_virt", Parent: 0},
		{Index: 12, Device: "/dev/ptp12", ClockName: "tbed", Driver: "tbed", Bus: "tbed", Parent: -1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestListWithoutKernelSupport(t *testing.T) {
	if _, err := list(t.TempDir()); !errors.Is(err, ErrNotPHC) {
		t.Errorf("%v", err)
	}
	empty := t.TempDir()
	if err := os.MkdirAll(filepath.Join(empty, "sys/class/ptp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if infos, err := list(empty); err != nil || len(infos) != 0 {
		t.Errorf("%v, %v", infos, err)
	}
}

func TestResolve(t *testing.T) {
	root := host(t)
	for _, f := range []string{"dev/ptp0", "dev/zero", "dev/pts/0", "tmp/x/7", "tmp/ptp7", "dev/shm/ptp7"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{
		"/dev/ptp3": 3, "ptp3": 3, "3": 3, "12": 12, "/dev/my-clock": 0, "/dev/../dev/ptp0": 0, "/srv/clock": 12, "/srv/alias": 0,
	} {
		if got, err := resolve(root, name); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "eth0", "tbed", "0000:01:00.0", "/dev/zero-clock", "/dev/none", "/dev/3", "/dev/pts/0",
		"/tmp/x/7", "/tmp/ptp7", "/dev/shm/ptp7", "/dev", "ptp", "/dev/ptp-1", "ptp99999", "-1", "../x"} {
		if got, err := resolve(root, name); !errors.Is(err, ErrNotPHC) {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
}

func TestHolders(t *testing.T) {
	root := host(t)
	got, complete, err := holders(root, 0, 30)
	if err != nil || complete {
		t.Fatalf("%v; complete without a first process: %v", err, complete)
	}
	want := []Holder{{20, "ptp4l", true}, {21, "reader", false}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := os.MkdirAll(filepath.Join(root, "proc/1/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, complete, err := holders(root, 0, 30); err != nil || !complete {
		t.Errorf("%v; complete: %v", err, complete)
	}
	if _, _, err := holders(root, 3, 30); err == nil {
		t.Error("a clock that there is not is held by nobody")
	}
	if os.Geteuid() == 0 {
		return // whom nothing is hidden from
	}
	for path, mode := range map[string]os.FileMode{"proc/1/fd": 0, "proc/22/fd": 0o400} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
		if _, complete, err := holders(root, 0, 30); err != nil || complete {
			t.Errorf("%s cannot be looked into: %v; complete: %v", path, err, complete)
		}
		if err := os.Chmod(filepath.Join(root, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Who has a device open is found by the kernel's own account, whatever became of the name.
func TestHoldersByAnyName(t *testing.T) {
	const number = "1:7" // of /dev/full
	dir := t.TempDir()
	names := []string{"/dev/full", filepath.Join(dir, "renamed"), filepath.Join(dir, "deleted")}
	for _, name := range names[1:] {
		if err := unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 7))); err != nil {
			t.Logf("%s: %v", name, err)
			names = names[:1]
			break
		}
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			defer f.Close()
			switch filepath.Base(name) {
			case "renamed":
				err = os.Rename(name, filepath.Join(dir, "ptp1"))
			case "deleted":
				err = os.Remove(name)
			}
			if err != nil {
				t.Fatal(err)
			}
			root := tree(t, map[string]string{"sys/class/ptp/ptp0/dev": number, "sys/class/ptp/ptp1/dev": null},
				map[string]string{"proc": "/proc"})
			for index, want := range []bool{true, false} {
				found, _, err := holders(root, index, 0)
				got := slices.ContainsFunc(found, func(h Holder) bool { return h.PID == os.Getpid() && h.Writable })
				if err != nil || got != want {
					t.Errorf("ptp%d is held by this process: %v, %v", index, got, err)
				}
			}
		})
	}
}

func TestPPSSource(t *testing.T) {
	root := tree(t, map[string]string{
		"sys/class/pps/pps0/name": "tbed", "sys/class/pps/pps0/assert": "1700000000.000000001#7",
		"sys/class/pps/pps1/name": "ptp2", "sys/class/pps/pps1/assert": "1700000000.000000001#42",
		"sys/class/pps/pps2/name": "ptp3", "sys/class/pps/pps2/assert": "",
	}, nil)
	for index, want := range map[int]PPSSource{2: {"/dev/pps1", 42}, 3: {"/dev/pps2", 0}, 0: {}} {
		if got, ok := ppsSource(root, index); got != want || ok != (want.Device != "") {
			t.Errorf("ptp%d: %v, %v", index, got, ok)
		}
	}
}

// Asking this machine must not fail, whatever clocks it has.
func TestThisMachine(t *testing.T) {
	infos, err := List()
	if err != nil && !errors.Is(err, ErrNotPHC) {
		t.Error(err)
	}
	for _, i := range infos {
		if _, _, err := Holders(i.Index); err != nil {
			t.Error(err)
		}
	}
	if _, err := Resolve("lo"); !errors.Is(err, ErrNotPHC) {
		t.Errorf("lo: %v", err)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"/dev/ptp0", "ptp1", "2", "eth0", "0000:01:00.0", "igb:52:54:00", "/../dev/ptp0", "*", "[",
		"\x00"} {
		f.Add(s)
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if n, err := resolve(root, name); err == nil && (n < 0 || n > maxIndex) {
			t.Errorf("%q is %d", name, n)
		}
	})
}

// FuzzFdinfo checks that nothing is taken to be open for reading only but what says so: by the first line of flags, whose
// last digit has the mode in its lower two bits.
func FuzzFdinfo(f *testing.F) {
	f.Add("pos:\t0\nflags:\t0100002\n")
	f.Add("flags:")
	f.Add("pos:\t0\n")
	f.Add("flags:\t02000000\nmnt_id:\t15\n")
	f.Fuzz(func(t *testing.T, s string) {
		if mode := lastOfFlags(s); mode != '0' && mode != '4' && !opensForWriting(s) {
			t.Errorf("%q is taken to be open for reading only", s)
		}
		for flags, want := range map[string]bool{"0100000": false, "0100001": true, "0100002": true, "08": true, "": true} {
			if got := opensForWriting("flags:\t" + flags + "\n" + s); got != want {
				t.Errorf("flags %q: open for writing %v, want %v", flags, got, want)
			}
		}
	})
}

// lastOfFlags returns the last digit of the first line of flags, 0 if there is none.
func lastOfFlags(info string) byte {
	_, after, found := strings.Cut("\n"+info, "\nflags:")
	line, _, _ := strings.Cut(after, "\n")
	line = strings.TrimSpace(line)
	if !found || line == "" {
		return 0
	}
	return line[len(line)-1]
}

// TestNamesCannotSpeakToTheTerminal has a driver, a device and a process with names that a terminal obeys.
func TestNamesCannotSpeakToTheTerminal(t *testing.T) {
	const evil, want = "\x1b]0;x\a\u009b31m\x7f\xff", "?]0;x??31m??"
	root := tree(t, map[string]string{
		"sys/class/ptp/ptp0/clock_name":         evil,
		"sys/class/ptp/ptp0/dev":                null,
		"sys/class/ptp/ptp1/clock_name":         "driven",
		"sys/devices/" + evil + "/serialnum":    evil,
		"sys/bus/pci/drivers/" + evil + "/keep": "",
		"proc/20/comm":                          evil,
		"proc/20/fdinfo/5":                      "flags:\t0100002",
	}, map[string]string{
		"sys/class/ptp/ptp1/device":       "sys/devices/" + evil,
		"sys/devices/" + evil + "/driver": "sys/bus/pci/drivers/" + evil,
		"proc/20/fd/5":                    "/dev/null",
	})
	infos, err := list(root)
	if err != nil || len(infos) != 2 {
		t.Fatal(infos, err)
	}
	got := []string{infos[0].ClockName, infos[0].Driver, infos[1].Driver, infos[1].Bus, infos[1].Serial}
	if d := cmp.Diff([]string{want, want, want, want, want}, got); d != "" {
		t.Error(d)
	}
	found, _, err := holders(root, 0, 30)
	if d := cmp.Diff([]Holder{{20, want, true}}, found); err != nil || d != "" {
		t.Error(err, d)
	}
}
