// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Bounds of an expression.
const (
	// MaxLength is that of the text in bytes, MaxDepth that of nested parentheses.
	MaxLength = 4096
	MaxDepth  = 32
)

type op uint8

const (
	opNumber op = iota
	opTime
	opFrom
	opTo
	opPort
	opLength
	opSubnet
	opDelay
	opFile
	opUniform
	opNormal
	opExponential
	opPoisson
	opGamma
	opSample
	opSine
	opCosine
	opTriangle
	opPulse
	opSum
	opAdd
	opMultiply
	opModulo
	opMax
	opMin
	opEqual
)

// function tells what a name in parentheses takes: a number of arguments, and whether these are constants between
// least and most.
type function struct {
	name        string
	op          op
	least, most int
	constant    bool
	from, to    float64
}

const many = MaxLength

// longest is a period of waves beyond which their phase is lost to rounding.
const longest = 1 << 50

func functions() []function {
	return []function{
		{name: "+", op: opAdd, least: 1, most: many},
		{name: "*", op: opMultiply, least: 1, most: many},
		{name: "%", op: opModulo, least: 1, most: many},
		{name: "sum", op: opSum, least: 1, most: many},
		{name: "max", op: opMax, least: 1, most: many},
		{name: "min", op: opMin, least: 1, most: many},
		{name: "equal", op: opEqual, least: 1, most: many},
		{name: "sample", op: opSample, least: 1, most: many},
		{name: "file", op: opFile},
		{name: "uniform", op: opUniform},
		{name: "normal", op: opNormal},
		{name: "exponential", op: opExponential},
		{name: "poisson", op: opPoisson, least: 1, most: 1, constant: true, from: 1, to: 20},
		{name: "gamma", op: opGamma, least: 1, most: 1, constant: true, from: 0.01, to: 1e6},
		{name: "pulse", op: opPulse, least: 2, most: 2, constant: true, from: 0, to: longest},
		{name: "sine", op: opSine, least: 1, most: 1, constant: true, from: 1e-9, to: longest},
		{name: "cosine", op: opCosine, least: 1, most: 1, constant: true, from: 1e-9, to: longest},
		{name: "triangle", op: opTriangle, least: 1, most: 1, constant: true, from: 1e-9, to: longest},
	}
}

func variables() map[string]op {
	return map[string]op{"time": opTime, "from": opFrom, "to": opTo, "port": opPort, "length": opLength,
		"subnet": opSubnet, "delay": opDelay}
}

// Variables says which variables a place for an expression has.
type Variables uint8

// The places: of a clock, of a packet, of the correction for the delay of a packet.
const (
	Clock Variables = iota
	Packet
	Correction
)

func (a Variables) list() []string {
	return []string{"time", "from", "to", "port", "length", "subnet", "delay"}[:[...]int{1, 6, 7}[a]]
}

// String lists the variables.
func (a Variables) String() string { return strings.Join(a.list(), " ") }

// Foreign returns a variable of the program that its place does not have.
func (p *Program) Foreign(allowed Variables) (name string, found bool) {
	for _, name := range Correction.list()[len(allowed.list()):] {
		o := variables()[name]
		if slices.ContainsFunc(p.nodes, func(n node) bool { return n.op == o }) {
			return name, true
		}
	}
	return "", false
}

// Error says what is wrong with an expression, and at which byte of it.
type Error struct {
	Text   string
	Offset int
	What   string
}

// Error shows the place by what is written there.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at %q (character %d)", e.What, clip(e.Text[min(e.Offset, len(e.Text)):]), e.Offset+1)
}

func clip(s string) string {
	if len(s) > 24 {
		return s[:24] + "…"
	}
	return s
}

type parser struct {
	text string
	pos  int
	p    *Program
}

// Parse understands an expression. Its error is an *Error.
func Parse(text string) (*Program, error) {
	if len(text) > MaxLength {
		return nil, &Error{"", 0, fmt.Sprintf("the expression has %d bytes, at most %d are allowed", len(text), MaxLength)}
	}
	p := &parser{text: text, p: &Program{text: text}}
	if _, err := p.expression(0); err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(text) {
		return nil, p.fail(p.pos, "nothing may follow the expression")
	}
	return p.p, nil
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{p.text, at, fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// word takes what is up to the next space or parenthesis.
func (p *parser) word() string {
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n()", p.text[p.pos]) < 0 {
		p.pos++
	}
	return p.text[start:p.pos]
}

// node adds one, and returns its index.
func (p *parser) node(n node) int32 {
	p.p.nodes = append(p.p.nodes, n)
	return int32(len(p.p.nodes) - 1)
}

func (p *parser) expression(depth int) (int32, error) {
	p.space()
	at := p.pos
	if p.pos == len(p.text) {
		return 0, p.fail(at, "a number, a variable or '(' is missing")
	}
	if p.text[p.pos] == '(' {
		return p.call(depth + 1)
	}
	w := p.word()
	if o, ok := variables()[w]; ok {
		return p.node(node{op: o}), nil
	}
	v, err := strconv.ParseFloat(w, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, p.fail(at, "neither a number nor one of time, from, to, port, length, subnet, delay")
	}
	return p.node(node{op: opNumber, value: v}), nil
}

// call takes a function and its arguments in parentheses.
func (p *parser) call(depth int) (int32, error) {
	open := p.pos
	if depth > MaxDepth {
		return 0, p.fail(open, "more than %d parentheses in each other", MaxDepth)
	}
	p.pos++
	p.space()
	at := p.pos
	name := p.word()
	all := functions()
	k := slices.IndexFunc(all, func(f function) bool { return f.name == name })
	if k < 0 {
		return 0, p.fail(at, "unknown function, allowed: %s", names(all))
	}
	f := all[k]
	if f.op == opFile {
		return p.path(open, node{op: opFile})
	}
	i := p.node(node{op: f.op})
	args, err := p.arguments(open, depth)
	if err != nil {
		return 0, err
	}
	if len(args) < f.least || len(args) > f.most {
		return 0, p.fail(open, "%s takes %s", name, count(f.least, f.most))
	}
	if f.constant {
		if args, err = p.constants(open, i, f, args); err != nil {
			return 0, err
		}
	}
	p.p.nodes[i].args = args
	return i, nil
}

func (p *parser) arguments(open, depth int) (args []int32, err error) {
	for {
		p.space()
		if p.pos == len(p.text) {
			return nil, p.fail(open, "this parenthesis is not closed")
		}
		if p.text[p.pos] == ')' {
			p.pos++
			return args, nil
		}
		a, err := p.expression(depth)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
}

// constants checks that all arguments are numbers in range, and makes the first one the value of node i.
func (p *parser) constants(open int, i int32, f function, args []int32) (rest []int32, err error) {
	sum := 0.0
	for _, a := range args {
		n := &p.p.nodes[a]
		if n.op != opNumber || n.value < f.from || n.value > f.to {
			return nil, p.fail(open, "%s takes numbers from %g to %g", f.name, f.from, f.to)
		}
		sum += n.value
	}
	if sum == 0 {
		return nil, p.fail(open, "%s takes numbers that are not all 0", f.name)
	}
	p.p.nodes[i].value = p.p.nodes[args[0]].value
	return args[1:], nil
}

func names(all []function) string {
	var list []string
	for _, f := range all {
		list = append(list, f.name)
	}
	return strings.Join(list, " ")
}

func count(least, most int) string {
	switch {
	case most == 0:
		return "no arguments"
	case most == many:
		return fmt.Sprintf("%d arguments or more", least)
	case least == 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", least)
}
