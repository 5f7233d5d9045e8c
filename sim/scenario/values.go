// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/sim/expr"
)

const (
	// maxValues bounds the files that the expressions of a scenario read, in bytes, all together.
	maxValues = 16 << 20
	// trials is how often an expression is evaluated before a run, to see whether its values are possible.
	trials = 16
)

// values are the files that expressions read, by their names.
type values struct {
	dir   string
	files map[string][]float64
	size  int
}

// read returns the numbers of a file, whose name is relative to the scenario's.
func (v *values) read(name string) ([]float64, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(v.dir, path)
	}
	if list, ok := v.files[path]; ok {
		return list, nil
	}
	// A pipe would block, and a device may never end.
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read values: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(maxValues-v.size+1)))
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if v.size += len(text); v.size > maxValues {
		return nil, fmt.Errorf("%s: the files of values have more than %d MiB all together", path, maxValues>>20)
	}
	list, err := expr.Numbers(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	v.files[path] = list
	return list, nil
}

// expression checks one that is given: that it has only the variables of its place, that its files can be read, and that its
// first values are possible ones. A later one that is not ends the run, which tells of the place.
func (c *checker) expression(at string, e *expression, q sim.Quantity) {
	if e.Program == nil {
		return
	}
	if name, ok := e.Foreign(q.Variables()); ok {
		c.add(at, "it has no variable "+name, q.Variables().String())
		return
	}
	p, err := e.WithFiles(c.values.read)
	if err != nil {
		c.add(at, oneLine(err.Error()), fmt.Sprintf("a file of at most %d MiB of numbers with white space between them",
			maxValues>>20))
		return
	}
	e.Program = p
	c.scenario.places[p] = place{at, c.lines.at(at)}
	least, most := q.Range()
	trial := p.New(rand.New(rand.NewPCG(0, 0)))
	for k := range trials {
		x := trial.Next(&expr.Vars{Time: float64(k), From: 1, To: 2, Port: 319, Length: 44, Subnet: 1, Delay: 1e-6})
		if !(x >= least && x <= most) {
			c.add(at, fmt.Sprintf("value %d is %g", k+1, x), q.Allowed())
			return
		}
		if q == sim.Delay && x < 0 && p.Steady() {
			c.add(at, fmt.Sprintf("it is always %g, so that everything is lost", x), "0 or more, at least sometimes")
			return
		}
	}
}

// place is where something stands in a scenario file.
type place struct {
	key  string
	line int
}

// problem tells of an expression that came to an impossible value in a run.
func (s *Scenario) problem(seed uint64, f *sim.Fault) *Problem {
	at := s.places[f.Program]
	return &Problem{File: s.file, Line: at.line, Key: at.key,
		What: fmt.Sprintf("with seed %d the value at %v is %g", seed, f.At, f.Value), Allowed: f.Quantity.Allowed()}
}
