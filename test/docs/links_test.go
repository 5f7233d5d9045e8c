// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const repository = "../.."

// page is a Markdown file.
type page struct {
	links   []string // targets as written
	anchors []string
	lines   int
}

var (
	fence  = regexp.MustCompile("^\\s*```")
	inline = regexp.MustCompile("`[^`]*`")
	link   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	title  = regexp.MustCompile(`^#{1,6} +(.*)$`)
)

// parse finds the links and the anchors of a page, and none in code.
func parse(text string) (p page) {
	code := false
	seen := map[string]int{}
	for line := range strings.Lines(text) {
		p.lines++
		line = strings.TrimRight(line, "\n")
		if fence.MatchString(line) {
			code = !code
		}
		if code || strings.HasPrefix(line, "    ") && !strings.HasPrefix(strings.TrimSpace(line), "[") {
			continue
		}
		if m := title.FindStringSubmatch(line); m != nil {
			name := slug(m[1])
			n := seen[name]
			if seen[name]++; n > 0 {
				name = fmt.Sprintf("%s-%d", name, n)
			}
			p.anchors = append(p.anchors, name)
		}
		for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(line, ""), -1) {
			p.links = append(p.links, m[1])
		}
	}
	return p
}

// slug is the anchor that forges make of a heading.
func slug(heading string) string {
	if i := strings.Index(heading, "]("); i >= 0 { // a heading that is a link
		heading = strings.Trim(heading[:i], "[ ")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

// pages returns all Markdown files of the repository by path.
func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all[filepath.Clean(path)] = parse(string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLinks follows all links between files of the repository.
func TestLinks(t *testing.T) {
	all := pages(t)
	followed := 0
	for path, p := range all {
		for _, target := range p.links {
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			followed++
			if why := broken(all, path, target); why != "" {
				t.Errorf("%s: link to %s: %s", path, target, why)
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links were found", followed)
	}
}

// broken says what is wrong with a link, empty if nothing.
func broken(all map[string]page, from, target string) string {
	file, anchor, _ := strings.Cut(target, "#")
	path := filepath.Clean(from)
	if file != "" {
		path = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(path); err != nil {
		return "there is no such file"
	}
	if anchor == "" {
		return ""
	}
	if !slices.Contains(all[path].anchors, anchor) {
		return fmt.Sprintf("there is no such heading; there are %s", strings.Join(all[path].anchors, " "))
	}
	return ""
}

// TestReachable: every page can be found from the README.
func TestReachable(t *testing.T) {
	all := pages(t)
	start := filepath.Join(repository, "README.md")
	seen := map[string]bool{start: true}
	for next := []string{start}; len(next) > 0; next = next[1:] {
		for _, target := range all[next[0]].links {
			file, _, _ := strings.Cut(target, "#")
			path := filepath.Join(filepath.Dir(next[0]), file)
			if _, isPage := all[path]; isPage && !seen[path] {
				seen[path] = true
				next = append(next, path)
			}
		}
	}
	for path := range all {
		if !seen[path] {
			t.Errorf("no link leads from the README to %s", path)
		}
	}
}

// TestLength: the README is one that is read.
func TestLength(t *testing.T) {
	if n := pages(t)[filepath.Join(repository, "README.md")].lines; n == 0 || n > 120 {
		t.Errorf("README.md has %d lines, want 1 to 120", n)
	}
}

func TestParse(t *testing.T) {
	p := parse("# Kiss-o'-death, `code` and µs\n[a](b.md#c) `[d](e)` ![f](g.svg)\n```\n# no [h](i)\n```\n## Same\n## Same\n")
	if want := []string{"b.md#c", "g.svg"}; !slices.Equal(p.links, want) {
		t.Errorf("links %q, want %q", p.links, want)
	}
	if want := []string{"kiss-o-death-code-and-µs", "same", "same-1"}; !slices.Equal(p.anchors, want) {
		t.Errorf("anchors %q, want %q", p.anchors, want)
	}
	if p.lines != 7 {
		t.Errorf("%d lines, want 7", p.lines)
	}
}

func TestBroken(t *testing.T) {
	all := map[string]page{"docs.go": {anchors: []string{"there"}}}
	for target, want := range map[string]string{"docs.go": "", "docs.go#there": "", "#there": "",
		"docs.go#elsewhere": "there is no such heading; there are there", "missing.md": "there is no such file"} {
		if got := broken(all, "docs.go", target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}
