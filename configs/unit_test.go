// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestVerifyUnit has systemd look at the unit, where its tools are there.
func TestVerifyUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not there")
	}
	unit, err := os.ReadFile("lockstepd.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable() // the daemon need not be installed
	if err != nil {
		t.Fatal(err)
	}
	unit = bytes.Replace(unit, []byte("ExecStart=/usr/sbin/lockstepd\n"), []byte("ExecStart="+self+"\n"), 1)
	file := filepath.Join(t.TempDir(), "lockstepd.service")
	if err := os.WriteFile(file, unit, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
