// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lockstep-time/lockstep/sim/expr"
)

func values(t *testing.T, text string, n int, v expr.Vars) []float64 {
	t.Helper()
	p, err := expr.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	e := p.New(rand.New(rand.NewPCG(1, 2)))
	var got []float64
	for range n {
		got = append(got, e.Next(&v))
	}
	return got
}

func TestValues(t *testing.T) {
	v := expr.Vars{Time: 12.5, From: 1, To: 2, Port: 319, Length: 44}
	for _, c := range []struct {
		text string
		want []float64
	}{
		{"-1.5e-3", []float64{-1.5e-3}},
		{" ( + 1 2\n3 ) ", []float64{6}},
		{"(* 2 3 (+ 1 1))", []float64{12}},
		{"(% 7.5 2)", []float64{1.5}},
		{"(% 7.5 0)", []float64{0}},
		{"(sum 1 2)", []float64{3, 6, 9}},
		{"(max 1 3 2)", []float64{3}},
		{"(min 1 3 -2)", []float64{-2}},
		{"(equal 0.5 1 1.5 1.2)", []float64{1}},
		{"(equal 0.4 1 1.5 1.2)", []float64{0}},
		{"(pulse 2 1)", []float64{1, 1, -1, 1, 1, -1}},
		{"(sine 4)", []float64{0, 1, 0, -1, 0}},
		{"(cosine 4)", []float64{1, 0, -1, 0, 1}},
		{"(triangle 4)", []float64{-1, 0, 1, 0, -1}},
		{"(+ time from to port length)", []float64{12.5 + 1 + 2 + 319 + 44}},
		{"(sample 7)", []float64{7, 7}},
	} {
		for i, got := range values(t, c.text, len(c.want), v) {
			if math.Abs(got-c.want[i]) > 1e-12 {
				t.Errorf("%s: value %d is %g, want %g", c.text, i, got, c.want[i])
			}
		}
	}
}

func TestDistributions(t *testing.T) {
	for _, c := range []struct {
		text           string
		mean, variance float64
	}{
		{"(uniform)", 0.5, 1.0 / 12},
		{"(normal)", 0, 1},
		{"(exponential)", 1, 1},
		{"(poisson 4)", 4, 4},
		{"(gamma 0.5)", 0.5, 0.5},
		{"(gamma 3)", 3, 3},
		{"(sample 0 1 2)", 1, 2.0 / 3},
	} {
		const n = 200000
		sum, squares := 0.0, 0.0
		for _, x := range values(t, c.text, n, expr.Vars{}) {
			sum += x
			squares += x * x
		}
		mean := sum / n
		variance := squares/n - mean*mean
		if math.Abs(mean-c.mean) > 0.02*math.Sqrt(c.variance) || math.Abs(variance/c.variance-1) > 0.03 {
			t.Errorf("%s: mean %g, variance %g; want %g, %g", c.text, mean, variance, c.mean, c.variance)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		text, what string
		offset     int
	}{
		{"", "missing", 0},
		{"(+ 1", "not closed", 0},
		{"(+ 1))", "nothing may follow", 5},
		{"(+ 1 (sqrt 2))", "unknown function", 6},
		{"(+ 1 x)", "neither a number", 5},
		{"(+ 1 NaN)", "neither a number", 5},
		{"1e999", "neither a number", 0},
		{"(+)", "1 arguments or more", 0},
		{"(* 2 (normal 1))", "no arguments", 5},
		{"(sine 0)", "numbers from", 0},
		{"(sine (normal))", "numbers from", 0},
		{"(pulse 0 0)", "not all 0", 0},
		{"(poisson 21)", "numbers from 1 to 20", 0},
		{strings.Repeat("(+ 1 ", 33) + strings.Repeat(")", 33), "more than 32", 160},
		{strings.Repeat(" ", 4097), "at most 4096", 0},
	} {
		_, err := expr.Parse(c.text)
		var e *expr.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.what) || e.Offset != c.offset {
			t.Errorf("%q: error %v, want %q at %d", clip(c.text), err, c.what, c.offset)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 40)] }

func TestNoAllocations(t *testing.T) {
	p, err := expr.Parse("(+ 1e-4 (sum (* 1e-9 (normal))) (* 1e-6 (gamma 2)) (sine 3600) (sample 1 2 time))")
	if err != nil {
		t.Fatal(err)
	}
	e, v := p.New(rand.New(rand.NewPCG(1, 2))), expr.Vars{}
	if n := testing.AllocsPerRun(1000, func() { e.Next(&v) }); n != 0 {
		t.Errorf("%g allocations for each value", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "(+ 1e-4 (sum (* 1e-9 (normal))))", "(equal 0.1 from 1)", "(pulse 1 2)", "((", "(% 1 0)",
		"(sample 1 (gamma 2) time)", "(poisson 3)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := expr.Parse(text)
		if err != nil {
			var e *expr.Error
			if !errors.As(err, &e) || err.Error() == "" {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		e := p.New(rand.New(rand.NewPCG(1, 2)))
		for range 3 {
			if x := e.Next(&expr.Vars{Time: 1}); math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("%q has the value %g", text, x)
			}
		}
	})
}
