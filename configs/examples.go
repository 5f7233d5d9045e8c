// SPDX-License-Identifier: Apache-2.0

package configs

import "embed"

//go:embed lockstepd.toml client.toml ntp-only.toml demo.toml
var examples embed.FS

// Example returns the text of an example file: "lockstepd.toml" (every key, commented), "client.toml" (PTP with NTP as
// fallback), "ntp-only.toml", "demo.toml" (a virtual clock on loopback). It is empty for any other name.
func Example(name string) string {
	text, err := examples.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// Examples returns the names that Example knows, sorted.
func Examples() []string {
	entries, err := examples.ReadDir(".")
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
