// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"strings"
)

// lines has the line of each section and key of a file: "host[0]", "host[0].phc[1].offset", "duration".
type lines map[string]int

// scan finds them in a text that has been understood as TOML before.
func scan(text []byte) lines {
	l := lines{}
	counts := map[string]int{}
	prefix, quote := "", ""
	for i, line := range strings.Split(string(text), "\n") {
		if quote != "" {
			if strings.Contains(line, quote) {
				quote = ""
			}
			continue
		}
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "["):
			prefix = section(line, counts)
			l[prefix] = i + 1
		case strings.HasPrefix(line, "#"):
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			l[join(prefix, strings.TrimSpace(key))] = i + 1
			quote = open(strings.TrimSpace(value))
		}
	}
	return l
}

// section returns the path that a header such as [[host.phc]] opens, with the indices of lists.
func section(line string, counts map[string]int) string {
	list := strings.HasPrefix(line, "[[")
	name := strings.Trim(strings.SplitN(line, "#", 2)[0], "[] \t\r")
	path := ""
	parts := strings.Split(name, ".")
	for i, p := range parts {
		at := join(path, strings.TrimSpace(p))
		if i == len(parts)-1 && list {
			counts[at]++
		}
		if n := counts[at]; n > 0 {
			at = fmt.Sprintf("%s[%d]", at, n-1)
		}
		path = at
	}
	return path
}

// open returns the quote that a value leaves open at the end of its line.
func open(value string) string {
	for _, q := range []string{`"""`, "'''"} {
		if strings.HasPrefix(value, q) && !strings.Contains(value[len(q):], q) {
			return q
		}
	}
	return ""
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// at returns the line of a path, of the first section of a list, or of the nearest section around it.
func (l lines) at(path string) int {
	for path != "" {
		for _, p := range []string{path, path + "[0]"} {
			if n, ok := l[p]; ok {
				return n
			}
		}
		i := strings.LastIndex(path, ".")
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
	return 0
}
