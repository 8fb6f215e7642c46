# Everything a developer does here. `make` alone says what there is.
# Needs Linux on x86-64, Python 3.11 or 3.12, make, and the Python package index; .venv is made and kept up by itself.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Pyright runs on the machine's own Node, and says nothing of newer versions of itself.
export PYRIGHT_PYTHON_GLOBAL_NODE := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

PYTHON := .venv/bin/python
STACK := $(PYTHON) -m deploy.local
INSTALLED := .venv/.installed

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ The mesh on this machine

.PHONY: demo
demo: $(INSTALLED) ## Bring the mesh up and send real jobs through it
	@$(STACK).demo

.PHONY: up
up: $(INSTALLED) ## Start everything and wait until it is ready
	@$(STACK) up

.PHONY: down
down: $(INSTALLED) ## Stop everything
	@$(STACK) down

.PHONY: status
status: $(INSTALLED) ## Show how every program stands
	@$(STACK) status

.PHONY: logs
logs: $(INSTALLED) ## Follow a program's log: make logs s=intake
	@$(STACK) logs $(s)

.PHONY: restart
restart: $(INSTALLED) ## Restart a program: make restart s=intake
	@$(if $(s),$(STACK) restart $(s),echo "say which program: make restart s=intake"; exit 2)

.PHONY: rotate-identity
rotate-identity: $(INSTALLED) ## Give a service another key to sign with: make rotate-identity s=auth [at_once=1]
	@$(if $(s),$(STACK) rotate-identity $(s) $(if $(at_once),--at-once),echo "say which service: make rotate-identity s=auth"; exit 2)

.PHONY: operator-key
operator-key: $(INSTALLED) ## Make a key that may do everything, and print it
	@$(STACK) operator-key

.PHONY: backup
backup: $(INSTALLED) ## Make a backup while everything runs
	@$(STACK) backup

.PHONY: backups
backups: $(INSTALLED) ## List the backups
	@$(STACK) backups

.PHONY: restore
restore: $(INSTALLED) ## Put a backup in the place of what there is: make restore backup=20261127T021500Z (asks; yes=1 does not)
	@$(if $(backup),$(STACK) restore $(backup) $(if $(yes),--yes),echo "say which backup: make restore backup=…; make backups lists them"; exit 2)

.PHONY: archive-read
archive-read: $(INSTALLED) ## Print the archived jobs of a tenant's day: make archive-read tenant=dev day=2026-08-01 [keep_going=1]
	@$(if $(and $(tenant),$(day)),$(STACK) archive-read --tenant $(tenant) --day $(day) $(if $(keep_going),--keep-going),echo "say whose and which day: make archive-read tenant=dev day=2026-08-01"; exit 2)

.PHONY: rebuild-history
rebuild-history: $(INSTALLED) ## Make history anew from the log of jobs while it serves
	@$(STACK) rebuild-history

.PHONY: reset
reset: $(INSTALLED) ## Stop everything and delete all state (asks; yes=1 does not)
	@$(STACK) reset $(if $(yes),--yes)

.PHONY: ports
ports: $(INSTALLED) ## List the ports and the settings that move them
	@$(STACK) ports

##@ Tests

.PHONY: test
test: $(INSTALLED) ## Run every test, count what services and shared were covered by, want 90 %, of the Python SDK 80 %
	@bash deploy/test.sh $(browser)

.PHONY: test-unit
test-unit: $(INSTALLED) ## Run the unit tests; they open no socket
	@pytest tests/unit tests/test_repo.py

.PHONY: test-integration
test-integration: $(INSTALLED) ## Run the contract and integration tests on real servers
	@pytest $(wildcard tests/contract) tests/integration

.PHONY: test-e2e
test-e2e: $(INSTALLED) ## Run the tests that go through Envoy to a whole mesh of their own
	@pytest tests/e2e

.PHONY: test-sdks
test-sdks: $(INSTALLED) ## Test the SDKs: each by itself, then both before a whole mesh, with and without faults
	@coverage run --data-file=.coverage-sdks --source=penstock_sdk -m pytest sdks/python/tests
	@coverage combine --quiet --data-file=.coverage-sdks
	@coverage report --data-file=.coverage-sdks --fail-under=80
	@pytest tests/sdks

.PHONY: test-browser
test-browser: $(INSTALLED) ## Use /docs as a person does, in Chromium, before a whole mesh; keeps pictures in .penstock/browser
	@command -v chromium >/dev/null || { echo "tests/browser drives chromium, which is not on the PATH; install it (Debian: apt-get install chromium)"; exit 1; }
	@pytest tests/browser $(if $(k),-k $(k))

.PHONY: api-fuzz
api-fuzz: $(INSTALLED) ## Call every operation as its document allows and as it does not: make api-fuzz [minutes=5] [seed=7]
	@API_FUZZ_MINUTES=$(or $(minutes),5) API_FUZZ_SEED=$(seed) pytest tests/e2e/document

.PHONY: chaos
chaos: $(INSTALLED) ## Kill everything while jobs are in flight: make chaos [minutes=30] [seed=7]
	@CHAOS_MINUTES=$(or $(minutes),0) CHAOS_SEED=$(seed) pytest -s tests/chaos

.PHONY: bench
bench: $(INSTALLED) ## Measure speed and cost into bench.json, peers beside it: make bench [size=small] [peers=0]
	@$(PYTHON) -m tests.bench --size $(or $(size),full) $(if $(peers),--peers $(peers))

##@ The code

.PHONY: format
format: $(INSTALLED) ## Format the code, and mend what can be mended by itself
	@ruff format --quiet .
	@ruff check --fix .

.PHONY: lint
lint: $(INSTALLED) ## Check form and style
	@ruff format --check --quiet . || { echo "not formatted; make format does it"; ruff format --check .; }
	@ruff check .

.PHONY: types
types: $(INSTALLED) ## Check types
	@command -v node >/dev/null || { echo "pyright runs on Node, which is not on the PATH; install it (Debian: apt-get install nodejs)"; exit 1; }
	@pyright

.PHONY: imports
imports: $(INSTALLED) ## Check who imports whom
	@lint-imports --no-logo

.PHONY: proto
proto: $(INSTALLED) ## Generate protos/gen anew, and what else follows from the protos
	@$(PYTHON) protos/generate.py
	@$(PYTHON) -m deploy.event_types
	@$(PYTHON) -m deploy.error_pages
	@$(PYTHON) -m deploy.openapi

.PHONY: proto-check
proto-check: $(INSTALLED) ## Check that protos/gen is what the protos say, and lint the protos
	@$(PYTHON) -m deploy.proto_check

.PHONY: sdks
sdks: $(INSTALLED) ## Generate anew what of the SDKs follows from the API's document: make sdks [check=1], which compares
	@$(PYTHON) -m deploy.sdks $(if $(check),--check)

.PHONY: lock
lock: $(INSTALLED) ## Lock the dependencies of pyproject.toml in requirements.lock
	@bash deploy/setup.sh lock

.PHONY: check
check: lint types imports proto-check test ## Run what CI runs

##@ The environment

.PHONY: setup
setup: $(INSTALLED) ## Make .venv with everything in it; all other targets do that by themselves
	@echo ".venv holds what requirements.lock names"

$(INSTALLED): requirements.lock protos/pyproject.toml sdks/python/pyproject.toml gateway/site/package-lock.json \
		sdks/typescript/package-lock.json deploy/setup.sh
	@bash deploy/setup.sh install
	@touch $@
