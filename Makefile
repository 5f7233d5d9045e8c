# SPDX-License-Identifier: Apache-2.0
# lockstep: `make help` tells what there is. All of it but `bed` and `race` needs Go and nothing else (race: a C compiler).

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X main.version=$(VERSION)
FUZZ    ?= 10s
BENCH   ?= .
SEEDS   ?= 10
S       ?=
COST    ?=

export CGO_ENABLED ?= 0
# Fused multiplications and additions, which GOAMD64=v3 brings, would make simulations differ from the documented ones.
export GOAMD64 := v1

.DEFAULT_GOAL := help
.PHONY: build test race lint fuzz bench cost bed sim sim-diff run clean help

build: ## the three binaries, static, into bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test: ## go vet and all tests, with all simulated scenarios, and what was skipped; RACE=1: under the race detector, short scenarios only
	$(GO) vet ./...
	$(if $(RACE),CGO_ENABLED=1) $(GO) run ./test/skips $(GO) test -json $(if $(RACE),-race) ./...

race: ## all tests under the race detector
	$(MAKE) test RACE=1

lint: ## formatting and go vet
	@out=$$(gofmt -l .) && test -z "$$out" || { echo "not formatted as gofmt does it: $$out"; exit 1; }
	$(GO) vet ./...

fuzz: ## each fuzz target for FUZZ=10s
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ) $$package; \
		done; \
	done

bench: ## benchmarks matching BENCH=., with allocations
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

cost: build ## processor time, context switches and memory beside ptp4l and chronyd; as root, with linuxptp, chrony, iproute2
	$(GO) run ./test/cost $(COST)

bed: ## scenarios on emulated hosts with real PTP clocks; S="lock-8 failover" for these only (see test/bed/README.md)
	./test/bed/scenario $(S)

sim: build ## all simulated scenarios with SEEDS=10 seeds each; writes docs/results/accuracy.md
	bin/lockstepctl simulate --seeds $(SEEDS) --document docs/results/accuracy.md sim/scenarios/*.toml

sim-diff: ## which figures of the simulated scenarios differ from those of the commit BASE, with SEEDS=10 seeds each
	./test/simdiff '$(BASE)' $(SEEDS)

run: build ## a demonstration on this machine: grandmaster, NTP server and client on loopback, without root
	$(GO) run ./test/demo

clean: ## remove what the build made (the bed's cache: test/bed/bed.sh clean)
	rm -rf bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
