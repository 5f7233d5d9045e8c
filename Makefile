# SPDX-License-Identifier: Apache-2.0
# lockstep: `make help` tells what there is. All of it but `bed` and `race` needs Go and nothing else (race: a C compiler).

GO      ?= go
BIN     ?= bin
VERSION ?=
FUZZ    ?= 500000x
BENCH   ?= .
SEEDS   ?= 10
S       ?=
COST    ?=

MODULE  := github.com/lockstep-time/lockstep
# VERSION is for packagers. Without it the programs print the version of the sources and the revision that Go recorded.
LDFLAGS := $(if $(VERSION),-X $(MODULE)/internal/version.linked=$(VERSION))
# Development tools have a go.mod of their own, so that users of the module do not depend on them.
TOOL    := $(GO) tool -modfile=tools/go.mod
# Packages that build, with their tests, on every operating system.
PORTABLE := ./clock ./configs ./discipline ./engine ./estimate ./internal/plain ./ntp/... ./offer ./ptp/... ./servo \
	./sim/expr ./source ./status ./status/text ./timescale

export CGO_ENABLED ?= 0
# Fused multiplications and additions, which GOAMD64=v3 brings, would make simulations differ from the documented ones.
export GOAMD64 := v1

.DEFAULT_GOAL := help
.PHONY: build test race lint fuzz bench cost bed sim sim-diff generate run clean help

build: ## the four binaries, static, into bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

test: ## go vet and all tests, with all simulated scenarios, and what was skipped; RACE=1: under the race detector, short scenarios only
	$(GO) vet ./...
	$(if $(RACE),CGO_ENABLED=1) $(TOOL) gotestsum --format pkgname -- $(if $(RACE),-race) ./...

race: ## all tests under the race detector
	$(MAKE) test RACE=1

lint: ## linters, known vulnerabilities, go.mod and the builds for other machines; silent if all is well
	@$(TOOL) golangci-lint run
	@$(GO) mod tidy -diff
	@GOARCH=386 $(GO) vet ./...
	@GOARCH=arm64 $(GO) build ./...
	@GOOS=darwin $(GO) vet $(PORTABLE)
	@tools/vulncheck $(TOOL) govulncheck ./...

fuzz: ## each fuzz target with FUZZ=500000x inputs
	@tools/fuzz $(GO) $(FUZZ)

bench: ## benchmarks matching BENCH=., with allocations
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

cost: build ## processor time, context switches and memory beside ptp4l and chronyd; as root, with linuxptp, chrony, iproute2
	$(GO) run ./test/cost $(COST)

bed: ## scenarios on emulated hosts with real PTP clocks; S="lock-8 failover" for these only (see test/bed/README.md)
	./test/bed/scenario $(S)

sim: build ## all simulated scenarios with SEEDS=10 seeds each; writes docs/results/accuracy.md
	$(BIN)/lockstep-sim --seeds $(SEEDS) --document docs/results/accuracy.md sim/scenarios/*.toml

sim-diff: ## which figures of the simulated scenarios differ from those of the commit BASE, with SEEDS=10 seeds each
	./test/simdiff '$(BASE)' $(SEEDS)

generate: ## references of configuration, metrics and commands in docs/reference, and configs/lockstepd.toml, from the code
	$(GO) generate ./...

run: build ## a demonstration on this machine: grandmaster, NTP server and client on loopback, without root
	$(GO) run ./test/demo

clean: ## remove what the build made (the bed's cache: test/bed/bed.sh clean)
	rm -rf bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
