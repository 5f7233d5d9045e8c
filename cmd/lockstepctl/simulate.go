// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// simulatorName is the program that simulates. It is one of its own, since plots and fonts make it large.
const simulatorName = "lockstep-sim"

const aboutSimulate = `Runs lockstep-sim with the same arguments: the one beside lockstepctl, or else the
one in PATH. lockstep-sim --help has its flags and exit statuses.`

func simulate() *cobra.Command {
	return &cobra.Command{
		Use: "simulate FILE...", Short: "Run scenarios in virtual time (lockstep-sim)", Long: aboutSimulate,
		Example:            "  lockstepctl simulate --seeds 10 --plot lie.svg sim/scenarios/s7-lie-100us.toml",
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return becomeSimulator(args) },
	}
}

// becomeSimulator has lockstep-sim take the place of this process. It returns only if that fails.
func becomeSimulator(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSim, err)
	}
	path, err := findSimulator(filepath.Dir(self))
	if err != nil {
		return err
	}
	err = syscall.Exec(path, append([]string{simulatorName}, args...), os.Environ())
	return fmt.Errorf("%w: %s: %w", errNoSim, path, err)
}

// findSimulator returns the path of lockstep-sim: in the folder, or else in one of PATH.
func findSimulator(folder string) (string, error) {
	if path, err := exec.LookPath(filepath.Join(folder, simulatorName)); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(simulatorName)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: it is neither in %s nor in PATH; "+
			"install the package that has it, or build bin/%s by \"make build\"", errNoSim, folder, simulatorName)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoSim, err)
	}
	return path, nil
}
