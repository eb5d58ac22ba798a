# The recipes a developer and CI use alike. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run setup test check types bench probe soak clean

# Debian keeps mariadbd outside an ordinary user's PATH.
export PATH := $(PATH):/usr/sbin

# How often `make soak` kills the server and the database.
KILLS ?= 1000

# More than cores: many tests wait for a deadline of the server's, and others run meanwhile.
TEST_THREADS ?= 4

# What `make probe` measures: see benches/README.md.
PROBE ?= all

BESIDE_MARIADB = $(if $(shell command -v mariadbd),scripts/with-mariadb)

help: ## list these recipes
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## build the server and start it on port 8000, with SQLite under ./data
	cargo run --release -- serve

setup: ## install what the tests need and is missing (Debian, Ubuntu)
	scripts/setup

test: setup ## run every test, on SQLite and on a private MariaDB
	RUST_TEST_THREADS=$(TEST_THREADS) scripts/with-mariadb cargo test --no-fail-fast

check: ## formatting, lints, syntax and the fast tests
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --lib --test house
	@set -e; for script in scripts/* .ci/run; do echo "bash -n $$script"; bash -n "$$script"; done
	@set -e; for script in $(wildcard frontend/*.js); do echo "node --check $$script"; node --check "$$script"; done
	node --test $(wildcard frontend/*.test.mjs)

types: ## write the frontend's types and the recorded conversation anew
	HEARTH_TEST_UPDATE=1 cargo test --test house types
	HEARTH_TEST_UPDATE=1 cargo test --test hearth conversation_is_as_recorded

# The probe is a benchmark too, but one that takes both cores: `make probe` runs it.
bench: ## run the benchmarks, on MariaDB too when it is installed
	$(BESIDE_MARIADB) cargo bench $(patsubst benches/%.rs,--bench %,$(wildcard benches/*.rs))

probe: ## measure a server on one core; one subject: PROBE="delivery --rounds 5"
	$(BESIDE_MARIADB) cargo bench --bench probe -- $(PROBE)

soak: setup ## kill the server and the database KILLS=1000 times under load
	HEARTH_TEST_KILLS=$(KILLS) scripts/with-mariadb cargo test --test hearth soak -- --ignored --nocapture

clean: ## remove what was built; ./data stays
	cargo clean
