// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/lockstep-time/lockstep/internal/files"
)

func write(t *testing.T, path, text string, mode fs.FileMode) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func fifo(t *testing.T, path string) string {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// put writes "new" by way of what was opened.
func put(t *testing.T, f *os.File, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, "new")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path, want string) fs.FileMode {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s has %q, want %q; %v", filepath.Base(path), b, want, err)
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		t.Fatalf("%s: %v, %v", filepath.Base(path), info, err)
	}
	return info.Mode().Perm()
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "file"), "text", 0o600)
	for path, want := range map[string][2]error{ // of Open and OpenLinked
		file:                                   {nil, nil},
		link(t, file, filepath.Join(dir, "l")): {files.ErrNotRegular, nil},
		fifo(t, filepath.Join(dir, "fifo")):    {files.ErrNotRegular, files.ErrNotRegular},
		link(t, filepath.Join(dir, "fifo"), filepath.Join(dir, "lf")): {files.ErrNotRegular, files.ErrNotRegular},
		"/dev/zero": {files.ErrNotRegular, files.ErrNotRegular}, dir: {files.ErrNotRegular, files.ErrNotRegular},
		filepath.Join(dir, "none"): {fs.ErrNotExist, fs.ErrNotExist},
	} {
		for i, open := range []func(string) (*os.File, error){files.Open, files.OpenLinked} {
			f, err := open(path)
			if !errors.Is(err, want[i]) {
				t.Errorf("%s, %d: %v, want %v", path, i, err, want[i])
			}
			if err == nil {
				if b, err := io.ReadAll(f); err != nil || string(b) != "text" {
					t.Errorf("%s: %q, %v", path, b, err)
				}
				f.Close()
			}
		}
	}
}

func TestReplace(t *testing.T) {
	for name, prepare := range map[string]func(path, secret string){
		"nothing":   func(string, string) {},
		"a file":    func(path, _ string) { write(t, path, "old", 0o666) },
		"hard link": func(path, secret string) { _ = os.Link(secret, path) },
		"link":      func(path, secret string) { link(t, secret, path) },
		"pipe":      func(path, _ string) { fifo(t, path) },
		"folder":    func(path, _ string) { _ = os.Mkdir(path, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			secret := write(t, path+".secret", "secret", 0o644)
			prepare(path, secret)
			f, err := files.Replace(path)
			put(t, f, err)
			if mode := content(t, path, "new"); mode != 0o600 {
				t.Errorf("mode %v", mode)
			}
			content(t, secret, "secret")
		})
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x"), "", 0o600)
	if _, err := files.Replace(dir); err == nil {
		t.Error("a folder with files was removed")
	}
}

func TestCreateMakesFilesAnew(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x"), "old and longer", 0o604)
	other := filepath.Join(dir, "other")
	if err := os.Link(path, other); err != nil {
		t.Fatal(err)
	}
	if err := files.Writable(path); err != nil {
		t.Error(err)
	}
	f, err := files.Create(path)
	put(t, f, err)
	if mode := content(t, path, "new"); mode != 0o604 {
		t.Errorf("mode %v is not the old one", mode)
	}
	content(t, other, "old and longer")
	absent := filepath.Join(dir, "absent")
	if err := files.Writable(absent); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("to ask whether it can be written has made it: %v", err)
	}
	f, err = files.Create(absent)
	put(t, f, err)
	content(t, absent, "new")
}

func TestCreateByLinks(t *testing.T) {
	dir := t.TempDir()
	target := write(t, filepath.Join(dir, "target"), "old", 0o644)
	own := link(t, target, filepath.Join(dir, "own"))
	if err := files.Writable(own); err != nil {
		t.Error(err)
	}
	f, err := files.Create(own)
	put(t, f, err)
	content(t, target, "new")
	if os.Geteuid() != 0 {
		t.Skip("only root can make links of others: the rest is not tested")
	}
	if err := os.Lchown(own, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := files.Writable(own); !errors.Is(err, files.ErrLink) {
		t.Errorf("writable: %v", err)
	}
	if _, err := files.Create(own); !errors.Is(err, files.ErrLink) {
		t.Errorf("created: %v", err)
	}
	content(t, target, "new")
}

// TestCreateOfAnothersFile has root write to where another user has a file open.
func TestCreateOfAnothersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has the right to write all files")
	}
	path := write(t, filepath.Join(t.TempDir(), "x"), "old", 0o666)
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	f, err := files.Create(path)
	put(t, f, err)
	content(t, path, "new")
	if b, err := io.ReadAll(theirs); err != nil || string(b) != "old" {
		t.Errorf("the other user sees %q, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("it is still the other user's: %v", err)
	}
}

func TestCreateLeavesPipesAndDevices(t *testing.T) {
	path := fifo(t, filepath.Join(t.TempDir(), "fifo"))
	if err := files.Writable(path); err != nil {
		t.Error(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f, err := files.Create(path)
	put(t, f, err)
	if b, err := io.ReadAll(reader); err != nil || string(b) != "new" {
		t.Errorf("%q, %v came through the pipe", b, err)
	}
	for _, device := range []string{"/dev/null", "/dev/fd/1", "/dev/stdout"} {
		if _, err := os.Stat(device); err != nil {
			continue // a container may have less
		}
		if info, err := os.Stat(device); err == nil && info.Mode().IsRegular() {
			continue // the output of the test goes to a file, which would be emptied
		}
		if err := files.Writable(device); err != nil {
			t.Errorf("%s: %v", device, err)
		}
		f, err := files.Create(device)
		if err != nil {
			t.Errorf("%s: %v", device, err)
			continue
		}
		f.Close()
	}
}

// TestCreateByAnothersPipe does not wait for whoever has put a pipe there to read it.
func TestCreateByAnothersPipe(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make pipes of others")
	}
	path := fifo(t, filepath.Join(t.TempDir(), "fifo"))
	if err := os.Lchown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Create(path); !errors.Is(err, files.ErrPipe) {
		t.Errorf("created: %v", err)
	}
}

func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]error{
		dir: syscall.EISDIR, filepath.Join(dir, "none", "x"): fs.ErrNotExist,
		filepath.Join(write(t, filepath.Join(dir, "file"), "", 0o600), "x"): syscall.ENOTDIR,
	} {
		if err := files.Writable(path); !errors.Is(err, want) {
			t.Errorf("%s: writable: %v, want %v", path, err, want)
		}
		if _, err := files.Create(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}
