// SPDX-License-Identifier: Apache-2.0

// Package expr is the language of scenarios for quantities that vary: expressions such as
// (+ 1e-4 (sum (* 1e-9 (normal)))), as published scenarios of network time simulations write them. An expression is
// evaluated once for each packet or each second, and keeps what it has to remember from one to the next.
package expr

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Vars are the variables of an expression.
type Vars struct {
	// Time of the simulation in seconds, from its start.
	Time float64
	// From and To number the nodes between which a packet goes; Port is its UDP port, Length its size in bytes, and
	// Subnet the number of the network that it goes through.
	From, To, Port, Length, Subnet float64
	// Delay of the packet in seconds, where a correction for it is asked for.
	Delay float64
}

// Program is an expression that has been understood. It is not changed once made.
type Program struct {
	text  string
	nodes []node
}

// String returns the expression as it was written.
func (p *Program) String() string { return p.text }

// Constant returns the value of a program that is nothing but a number.
func (p *Program) Constant() (v float64, ok bool) {
	return p.nodes[0].value, len(p.nodes) == 1 && p.nodes[0].op == opNumber
}

// Work returns how many steps one evaluation takes at most: its parts, and the draws within them.
func (p *Program) Work() (steps int) {
	for i := range p.nodes {
		steps++
		if p.nodes[i].op == opPoisson {
			steps += int(p.nodes[i].value)
		}
	}
	return steps
}

// Steady reports whether the program has the same value at all times and for all packets.
func (p *Program) Steady() bool {
	return !slices.ContainsFunc(p.nodes, func(n node) bool {
		return n.op != opNumber && n.op != opEqual && (n.op < opAdd || n.op > opMin)
	})
}

// node is one part of an expression; the first one is the whole. args lists its parts.
type node struct {
	op    op
	value float64
	args  []int32
	// file is a name, and data what is in it.
	file string
	data []float64
}

// state is what a node remembers.
type state struct {
	sum   float64
	count float64
}

// Expr is a Program at work. It allocates nothing after it was made, and belongs to one goroutine.
type Expr struct {
	program *Program
	rng     *rand.Rand
	states  []state
}

// New returns the program with a memory of its own, and rng, which only it may use, as its source of chance.
func (p *Program) New(rng *rand.Rand) *Expr {
	return &Expr{program: p, rng: rng, states: make([]state, len(p.nodes))}
}

// Next evaluates the expression. There are some without a finite value, such as a number modulo 0.
func (e *Expr) Next(v *Vars) float64 { return e.eval(0, v) }

func (e *Expr) eval(i int32, v *Vars) float64 {
	n := &e.program.nodes[i]
	switch n.op {
	case opNumber:
		return n.value
	case opTime:
		return v.Time
	case opFrom:
		return v.From
	case opTo:
		return v.To
	case opPort:
		return v.Port
	case opLength:
		return v.Length
	case opSubnet:
		return v.Subnet
	case opDelay:
		return v.Delay
	case opFile:
		return e.next(i, n)
	case opUniform:
		return e.rng.Float64()
	case opNormal:
		return e.rng.NormFloat64()
	case opExponential:
		return e.rng.ExpFloat64()
	case opPoisson:
		return e.poisson(n.value)
	case opGamma:
		return e.gamma(n.value)
	case opSample:
		return e.eval(n.args[e.rng.IntN(len(n.args))], v)
	case opSine, opCosine, opTriangle, opPulse:
		return e.wave(i, n)
	case opSum:
		s := &e.states[i]
		for _, a := range n.args {
			s.sum += e.eval(a, v)
		}
		return s.sum
	}
	return e.fold(n, v)
}

// fold evaluates what combines its parts one after the other.
func (e *Expr) fold(n *node, v *Vars) float64 {
	if n.op == opEqual {
		return e.equal(n, v)
	}
	x := e.eval(n.args[0], v)
	for _, a := range n.args[1:] {
		y := e.eval(a, v)
		switch n.op {
		case opAdd:
			x += y
		case opMultiply:
			x *= y
		case opModulo:
			x = math.Mod(x, y)
		case opMax:
			x = max(x, y)
		case opMin:
			x = min(x, y)
		}
	}
	return x
}

// equal is 1 if all parts but the first are within the first of each other.
func (e *Expr) equal(n *node, v *Vars) float64 {
	epsilon := e.eval(n.args[0], v)
	least, most := math.Inf(1), math.Inf(-1)
	for _, a := range n.args[1:] {
		x := e.eval(a, v)
		least, most = min(least, x), max(most, x)
	}
	if most-least <= epsilon {
		return 1
	}
	return 0
}

// wave counts evaluations: its length is in packets, or in seconds for what is evaluated each second.
func (e *Expr) wave(i int32, n *node) float64 {
	s := &e.states[i]
	count := s.count
	s.count++
	phase := count/n.value - math.Floor(count/n.value)
	switch n.op {
	case opSine:
		return math.Sin(2 * math.Pi * phase)
	case opCosine:
		return math.Cos(2 * math.Pi * phase)
	case opTriangle:
		return -4 * (math.Abs(phase-0.5) - 0.25)
	}
	high, low := n.value, e.program.nodes[n.args[0]].value
	if math.Mod(count, high+low) < high {
		return 1
	}
	return -1
}

func (e *Expr) poisson(lambda float64) float64 {
	limit, p := math.Exp(-lambda), 1.0
	for k := range 200 {
		if p *= e.rng.Float64(); p <= limit {
			return float64(k)
		}
	}
	return 200
}

// gamma has mean and variance shape: the sum of shape exponential ones where that is whole (Marsaglia and Tsang 2000).
func (e *Expr) gamma(shape float64) float64 {
	scale := 1.0
	if shape < 1 {
		scale = math.Pow(1-e.rng.Float64(), 1/shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := e.rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-e.rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return scale * d * v
		}
	}
}
