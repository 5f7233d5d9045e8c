// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	_ "github.com/lockstep-time/lockstep/daemon"
)

const (
	// binaries names the folder of lockstepd and lockstepctl for the process that is in a namespace.
	binaries = "LOCKSTEP_TEST_BINARIES"
	// private has this program mount folders of its own over the host's, and become lockstepd.
	private = "LOCKSTEP_TEST_PRIVATE"
)

// TestMain builds the programs and runs the tests as another process in a network namespace: within a user namespace,
// where it has all privileges, unless it may make the one without the other.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(private) != "":
		fmt.Fprintln(os.Stderr, becomeDaemon())
		os.Exit(1)
	case os.Getenv(binaries) != "":
		os.Exit(m.Run())
	}
	code, err := isolate(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "network namespaces:", err)
		code = 1
	}
	os.Exit(code)
}

func isolate(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "lockstep")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return 0, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	err = again(dir, 0)
	if errors.Is(err, syscall.EPERM) {
		err = again(dir, syscall.CLONE_NEWUSER)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err == nil {
		return 0, nil
	}
	// No test can make a namespace either: each says so and skips.
	if err := os.Setenv(binaries, dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// build makes the programs as this test was made, with the race detector or without.
func build(dir string) error {
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if raced() {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "../../cmd/lockstepd", "../../cmd/lockstepctl")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// raced tells whether this program has the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// again runs this program with its arguments in new namespaces.
func again(dir string, flags uintptr) error {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), binaries+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | flags, Pdeathsig: syscall.SIGKILL}
	asRoot(cmd.SysProcAttr)
	return cmd.Run()
}

// asRoot maps the user to root of a new user namespace, if there is to be one.
func asRoot(a *syscall.SysProcAttr) {
	if a.Cloneflags&syscall.CLONE_NEWUSER != 0 {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
}

// becomeDaemon runs lockstepd with empty /etc, /run and /var/lib, which no other process sees.
func becomeDaemon() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, folder := range []string{"/etc", "/run", "/var/lib"} {
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount on %s: %w", folder, err)
		}
	}
	return syscall.Exec(program("lockstepd"), append([]string{"lockstepd"}, os.Args[1:]...), os.Environ())
}

// program returns the path of a program. It looks at the program's sources, so that go test takes a result of before they
// were changed for what it is; the packages they use it knows by the import of daemon.
func program(name string) string {
	sources, _ := filepath.Glob(filepath.Join("../../cmd", name, "*.go")) // the pattern is well-formed
	for _, file := range sources {
		_, _ = os.Stat(file) // go test has noted it, whatever comes of it
	}
	return filepath.Join(os.Getenv(binaries), name)
}
