// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// complete offers clocks and interfaces for the first argument.
func (a *app) complete(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeClock(c, args, s)
}

// completeThen offers clocks for the first argument, and these words for the second.
func (a *app) completeThen(words ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(c, args, s)
	}
}

// completeChain offers clocks for the first argument, and operations for the others.
func (a *app) completeChain(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeClock(c, args, s)
	}
	return nextWords(args[1:], operations(&scaleFlags{})), cobra.ShellCompDirectiveNoFileComp
}

// nextWords returns what may follow the words of a chain, but for numbers.
func nextWords(words []string, ops map[string]operation) []string {
	names := slices.Sorted(maps.Keys(ops))
	last := len(words) - 1
	for last >= 0 && !slices.Contains(names, words[last]) {
		last--
	}
	if last < 0 {
		return names
	}
	op, given := ops[words[last]], words[last+1:]
	var next []string
	arguments := len(given)
	for _, flag := range op.flags {
		if slices.Contains(given, flag) {
			arguments--
		} else {
			next = append(next, flag)
		}
	}
	if arguments < op.min {
		return next
	}
	if arguments < op.max {
		next = append(next, op.words...)
	}
	return append(next, names...)
}

// completePin offers what follows pins.
func (a *app) completePin(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 2 && args[1] == "set":
		return a.pinNames(args[0]), cobra.ShellCompDirectiveNoFileComp
	case len(args) == 3:
		return []string{"none", "extts", "perout", "physync"}, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeThen("set")(c, args, s)
}

// pinNames returns the names of a clock's pins, none where it cannot be asked.
func (a *app) pinNames(device string) (names []string) {
	d, err := a.openRead(device)
	if err != nil {
		return nil
	}
	defer d.Close()
	pins, err := d.Pins()
	if err != nil {
		return nil
	}
	for _, p := range pins {
		names = append(names, p.Name)
	}
	return names
}

// completePair offers clocks, and the system clock as the second.
func (a *app) completePair(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		names, directive := a.completeClock(c, args, s)
		return append(names, "system"), directive
	}
	return a.complete(c, args, s)
}

// completeInterface offers interfaces that are not there yet.
func (a *app) completeInterface(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := a.discover()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range all {
		if !slices.Contains(args, c.Interface) {
			names = append(names, c.Interface)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag offers words for a flag's value.
func completeFlag(c *cobra.Command, flag string, words ...string) {
	completeFlagBy(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func completeFlagBy(c *cobra.Command, flag string, by cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, by); err != nil {
		panic(err) // there is no such flag
	}
}

// completeClock offers clocks, interfaces that have one, and names that stay.
func (a *app) completeClock(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	infos, err := a.list()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var devices, stable []string
	for _, i := range infos {
		devices = append(append(devices, i.Device), i.Interfaces...)
		if i.Parent < 0 {
			stable = append(stable, i.StableNames()...)
		}
	}
	return append(devices, stable...), cobra.ShellCompDirectiveNoFileComp
}
