// SPDX-License-Identifier: Apache-2.0

// Package floats checks that no float becomes an integer beyond what that holds: Go does not say what comes out then. On
// amd64 the largest error turns into the least.
package floats

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// marker of a conversion whose argument is bounded; the reason comes after it, in the same line.
const marker = "// in range: "

// TestConversionsSaturate has all of the module but its simulator, whose quantities are bounded where they are read, go by
// clock.Nanoseconds and clock.Int64, or say why there is no need.
func TestConversionsSaturate(t *testing.T) {
	exports, own := packages(t)
	files := token.NewFileSet()
	imports := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	known := 0
	for path, names := range own {
		var parsed []*ast.File
		for _, name := range names {
			f, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		if _, err := (&types.Config{Importer: imports}).Check(path, files, parsed, info); err != nil {
			t.Fatal(err)
		}
		for _, f := range parsed {
			for n := range ast.Preorder(f) {
				c, ok := n.(*ast.CallExpr)
				switch {
				case !ok || !cuts(info, c):
				case strings.Contains(line(t, files.Position(c.Pos())), marker):
					known++
				default:
					t.Errorf(
						"%v: %s is undefined where an integer does not hold the number: use clock.Nanoseconds or clock.Int64, or say %q why it does",
						files.Position(c.Pos()), types.ExprString(c), marker)
				}
			}
		}
	}
	if known == 0 {
		t.Error("no conversion was found, not even that of clock.Int64")
	}
}

// packages returns the files of the compiled packages by import path, and those of the sources of the module's own.
func packages(t *testing.T) (exports map[string]string, own map[string][]string) {
	const module = "github.com/lockstep-time/lockstep/"
	list := exec.Command("go", "list", "-export", "-deps", "-f",
		"{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{join .GoFiles \" \"}}", "./...")
	list.Dir = "../.."
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports, own = map[string]string{}, map[string][]string{}
	for l := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		exports[f[0]] = f[1]
		name, ours := strings.CutPrefix(f[0], module)
		if !ours || strings.HasPrefix(name+"/", "sim/") {
			continue
		}
		for _, file := range strings.Fields(f[3]) {
			own[f[0]] = append(own[f[0]], filepath.Join(f[2], file))
		}
	}
	return exports, own
}

// cuts reports whether the call is the conversion of a float that is no constant to an integer of 64 bits.
func cuts(info *types.Info, c *ast.CallExpr) bool {
	if len(c.Args) != 1 || !info.Types[c.Fun].IsType() || info.Types[c.Args[0]].Value != nil {
		return false
	}
	to, ok1 := info.Types[c.Fun].Type.Underlying().(*types.Basic)
	from, ok2 := info.Types[c.Args[0]].Type.Underlying().(*types.Basic)
	return ok1 && ok2 && (to.Kind() == types.Int64 || to.Kind() == types.Uint64) && from.Info()&types.IsFloat != 0
}

// line returns the line of a source file.
func line(t *testing.T, at token.Position) string {
	b, err := os.ReadFile(at.Filename)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")[at.Line-1]
}
