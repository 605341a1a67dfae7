# `make` lists the targets. `make test` is all that a fresh Debian machine needs: it sets itself up (as root) and runs every test.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

# A Go that lies where its tarball puts it need not be in PATH.
export PATH := $(PATH):/usr/local/go/bin

# With CI=1 a test that needs root fails where it would otherwise skip.
ifeq ($(CI),true)
CI := 1
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD  = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

# ./test/... starts real programs and has a phase of its own.
UNIT = $$(go list ./... | grep -v /test/)

.PHONY: help build run setup test unit e2e crash power check image bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./sluice, a static binary
	$(GOBUILD) -o sluice ./cmd/server

run: ## serve on 127.0.0.1:8080, data in ./data
	go run ./cmd/server

setup: ## install what the tests need (Debian packages, npm packages, Go modules)
	@scripts/within 180 setup scripts/setup

test: setup ## set up, then run every test: unit, race, HTTP scripts, browser, configuration, kills, power cuts
	@scripts/within 240 unit $(MAKE) --no-print-directory unit
	@scripts/within 240 e2e $(MAKE) --no-print-directory e2e
	@scripts/within 120 crash $(MAKE) --no-print-directory crash
	@scripts/within 150 power $(MAKE) --no-print-directory power

unit: ## vet, unit tests, and the same under the race detector
	go vet ./...
	go test -timeout 2m $(UNIT)
	go test -race -timeout 4m $(UNIT)

e2e: build ## the built program: HTTP, browser, examples, Prometheus and dashboard (needs `make setup`)
	go test -count=1 -timeout 4m -p 1 -parallel 8 ./test/model ./test/e2e ./test/examples
	SLUICE_BIN=$(CURDIR)/sluice node --test --test-concurrency=2 $(wildcard test/browser/*.test.mjs test/examples/*.test.mjs)
	scripts/check-config
	SLUICE_BIN=$(CURDIR)/sluice scripts/check-dashboard.mjs

crash: ## kill the server fifty times under load, and compare all that it had acknowledged
	go test -count=1 -timeout 2m ./test/crash

power: ## cut the power of ext4 and xfs twenty times under load (as root), and look at every byte
	go test -count=1 -timeout 150s ./test/power

check: setup ## what needs no server: format, lint, modules, other systems, configuration
	scripts/check

image: ## build and run the container image with buildah, as root
	scripts/setup buildah
	scripts/check-image

bench: ## compare with stock tusd on this machine; prints tables (25 minutes)
	scripts/bench

soak: ## the tests that have a longer form, in that form
	SOAK=1 go test -count=1 -timeout 20m ./internal/...
	SOAK=1 go test -count=1 -timeout 60m -v ./test/...

clean: ## remove what the targets above made, except ./data
	rm -rf sluice bench/bin test/node_modules examples/node_modules examples/*/dist
