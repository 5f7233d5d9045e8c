// SPDX-License-Identifier: Apache-2.0

//go:build !race

package scenario_test

const underRace = false
