// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"errors"
	"fmt"
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
	v := expr.Vars{Time: 12.5, From: 1, To: 2, Port: 319, Length: 44, Subnet: 3, Delay: 1e-6}
	for _, c := range []struct {
		text string
		want []float64
	}{
		{"-1.5e-3", []float64{-1.5e-3}},
		{" ( + 1 2\n3 ) ", []float64{6}},
		{"(* 2 3 (+ 1 1))", []float64{12}},
		{"(% 7.5 2)", []float64{1.5}},
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
		{"(* subnet delay)", []float64{3e-6}},
		{"(% 7)", []float64{7}},
		{"(equal 0.1)", []float64{1}},
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
		{"(file)", "file takes the name", 0},
		{"(+ 1 (file a b))", "file takes the name", 5},
		{"(file \"a)", "this quote is not closed", 6},
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

// TestFiles reads values one after the other, from the beginning again after the last, for each use of a file by itself.
func TestFiles(t *testing.T) {
	p, err := expr.Parse(`(+ (file "a b.txt") (* 100 (file c) (max (file c) 1)))`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Files(), "|"); got != "a b.txt|c|c" {
		t.Errorf("files %s", got)
	}
	if x := p.New(nil).Next(&expr.Vars{}); x != 0 {
		t.Errorf("%g without values", x)
	}
	files := map[string][]float64{"a b.txt": {1, 2, 3}, "c": {1, 2}}
	p, err = p.WithFiles(func(name string) ([]float64, error) { return files[name], nil })
	if err != nil {
		t.Fatal(err)
	}
	a, b := p.New(nil), p.New(nil)
	for i, want := range []float64{101, 402, 103, 401, 102, 403, 101} {
		if x, y := a.Next(&expr.Vars{}), b.Next(&expr.Vars{}); x != want || y != want {
			t.Errorf("value %d is %g and %g, want %g", i, x, y, want)
		}
	}
	missing := errors.New("missing")
	if _, err := p.WithFiles(func(string) ([]float64, error) { return nil, missing }); !errors.Is(err, missing) {
		t.Errorf("error %v", err)
	}
}

func TestNumbers(t *testing.T) {
	got, err := expr.Numbers([]byte("1 -2.5\t3e-6\r\n\n  4"))
	if err != nil || fmt.Sprint(got) != "[1 -2.5 3e-06 4]" {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{"": "1: there are no numbers", "1\n2 x": `2: "x" is not a finite number`,
		"inf": `1: "inf"`, "1e999": `1: "1e999"`, "1\n\n0 nan": `3: "nan"`} {
		if _, err := expr.Numbers([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestForeign(t *testing.T) {
	p, err := expr.Parse("(+ 1 (* time (max 1 length delay)))")
	if err != nil {
		t.Fatal(err)
	}
	for allowed, want := range map[expr.Variables]string{expr.Clock: "length", expr.Packet: "delay", expr.Correction: ""} {
		if name, found := p.Foreign(allowed); name != want || found != (want != "") {
			t.Errorf("among %q, %q is foreign, want %q", allowed, name, want)
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
		"(sample 1 (gamma 2) time)", "(poisson 3)", "(file \"a b\")", "(file a)"} {
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
			e.Next(&expr.Vars{Time: 1})
		}
	})
}

// TestWork counts what an evaluation takes, and tells what cannot vary from what can.
func TestWork(t *testing.T) {
	for text, want := range map[string]struct {
		work   int
		steady bool
	}{
		"-1":                         {1, true},
		"(+ 1 (* 2 (max 3 4)))":      {7, true},
		"(equal 0.1 1 2)":            {4, true},
		"(+ -1 time)":                {3, false},
		"(sum 1)":                    {2, false},
		"(sample 1 2)":               {3, false},
		"(+ (poisson 20) (uniform))": {24, false},
		"(* -1 (equal 0.1 from 2))":  {6, false},
		"(pulse 1 1)":                {3, false},
		"(+ (file a) 1)":             {3, false},
	} {
		p, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if p.Work() != want.work || p.Steady() != want.steady {
			t.Errorf("%s: %d steps, steady %v; want %d and %v", text, p.Work(), p.Steady(), want.work, want.steady)
		}
	}
}
