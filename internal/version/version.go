// SPDX-License-Identifier: Apache-2.0

// Package version has the version of lockstep that a program was built from.
package version

import "runtime/debug"

// Number is the version of these sources. A commit that is to be released has it without "-dev".
const Number = "0.2.0-dev"

// linked is set by the linker, see VERSION in the Makefile, and by nothing else.
var linked string

// String returns the version that was given to the linker. Without one it returns Number, followed by the revision of the
// sources if the go command recorded it, which it does in a checkout but not in an unpacked tarball.
func String() string {
	if linked != "" {
		return linked
	}
	info, _ := debug.ReadBuildInfo()
	return Number + revision(info)
}

// digits is how many digits of a revision are shown: as many as in the pseudo-versions of Go modules.
const digits = 12

// revision returns the recorded revision as the build metadata of a semantic version: "+0123456789ab", or
// "+0123456789ab.dirty" if the sources had uncommitted changes. It returns "" if none was recorded.
func revision(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	var hash, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			hash = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ".dirty"
		}
	}
	if hash == "" {
		return ""
	}
	return "+" + hash[:min(digits, len(hash))] + dirty
}
