// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-time/lockstep/phc"
)

// scaleFlags say which scale a clock that is set is to keep.
type scaleFlags struct{ tai, utc bool }

func (s *scaleFlags) add(f *pflag.FlagSet, prefix string) {
	f.BoolVar(&s.tai, "tai", false, prefix+"the time is UTC, and the clock is to keep TAI: add TAI − UTC")
	f.BoolVar(&s.utc, "utc", false, prefix+"the clock is to keep UTC, so say nothing about that")
}

// operation is a step of a chain, and what most commands do.
type operation struct {
	// min and max are how many arguments it takes; flags may stand among them.
	min, max int
	flags    []string
	// words may be given for an argument.
	words []string
	// check fails for arguments that can never be right, before anything is done.
	check func(args []string) error
	// changes tells whether the operation with that many arguments changes the clock.
	changes func(args int) bool
	run     func(ctx context.Context, a *app, d *phc.Device, args []string) (result, error)
}

// operations returns those that chains are made of, by name; scale is what flags of the command line say.
func operations(scale *scaleFlags) map[string]operation {
	first := func(parse func(string) error) func([]string) error {
		return func(args []string) error {
			if len(args) == 0 {
				return nil
			}
			return parse(args[0])
		}
	}
	duration := func(s string) error { _, err := parseDuration(s); return err }
	never := func(int) bool { return false }
	always := func(int) bool { return true }
	return map[string]operation{
		"get":  {changes: never, run: get},
		"caps": {changes: never, run: capabilities},
		"cmp":  {changes: never, run: compareOnce},
		"set": {max: 1, flags: []string{"--tai", "--utc"}, words: []string{"now"}, changes: always,
			check: func(args []string) error { _, err := parseSetting(args, *scale); return err },
			run: func(ctx context.Context, a *app, d *phc.Device, args []string) (result, error) {
				return a.set(ctx, d, args, *scale)
			}},
		"adj":   {min: 1, max: 1, check: first(duration), changes: always, run: adj},
		"phase": {min: 1, max: 1, check: first(duration), changes: always, run: phase},
		"freq": {max: 1, check: first(func(s string) error { _, err := parsePPB(s); return err }),
			changes: func(args int) bool { return args > 0 }, run: freq},
		"wait": {min: 1, max: 1, check: atLeastZero, changes: never, run: wait},
	}
}

// step is one operation of a chain with its arguments.
type step struct {
	name string
	op   operation
	args []string
}

// parseChain splits words into steps, and finds what is wrong before anything is done.
func parseChain(words []string, ops map[string]operation) ([]step, error) {
	var steps []step
	for i := 0; i < len(words); {
		name := words[i]
		op, ok := ops[name]
		if !ok {
			return nil, noOperation(name)
		}
		i++
		from, taken := i, 0
		for i < len(words) {
			if _, next := ops[words[i]]; next {
				break
			}
			if !slices.Contains(op.flags, words[i]) {
				if taken == op.max {
					break
				}
				taken++
			}
			i++
		}
		s := step{name, op, words[from:i]}
		if taken < op.min {
			return nil, usagef("%s needs an argument", name)
		}
		if op.check != nil {
			if err := op.check(s.args); err != nil {
				return nil, err
			}
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, usagef("nothing to do")
	}
	return steps, nil
}

func noOperation(word string) error {
	if strings.HasPrefix(word, "--") {
		return usagef("%q does not belong here: flags stand before the --, but for --tai and --utc after set", word)
	}
	return usagef("%q is no operation; there are get, set, adj, freq, phase, cmp, caps, wait", plainMinus(word))
}

// notCommand fails if the first word looks like a command that there is not, instead of a clock.
func notCommand(c *cobra.Command, name string, words []string, ops map[string]operation) error {
	if strings.ContainsAny(name, "/0123456789:") {
		return nil
	}
	if len(words) > 0 {
		if _, ok := ops[words[0]]; ok {
			return nil
		}
	}
	return usagef("%q is no command%s", name, suggestion(c.Root(), name))
}

// chain runs operations on one clock in order, until one fails.
func (a *app) chain(c *cobra.Command, name string, words []string, ops map[string]operation) error {
	if err := notCommand(c, name, words, ops); err != nil {
		return err
	}
	steps, err := parseChain(words, ops)
	if err != nil {
		return err
	}
	open := a.openRead
	if slices.ContainsFunc(steps, func(s step) bool { return s.op.changes(len(s.args)) }) {
		open = a.open
	}
	d, err := open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, s := range steps {
		r, err := s.op.run(c.Context(), a, d, s.args)
		if err != nil {
			return err
		}
		if err := a.print(r); err != nil {
			return err
		}
	}
	return nil
}
