// SPDX-License-Identifier: Apache-2.0

//go:build race

package scenario_test

// underRace: everything takes ten times as long.
const underRace = true
