# `make` alone lists what there is. Everything runs in .venv, from pinned and hashed packages.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
CODE := contracts config coordinator tasks src tests bench deploy examples

##@ Try it
.PHONY: demo demo-rides demo-media
demo: $(VENV)/.runtime ## a thousand payments while the ledger is down; run the payments demo: no server, no settings
	@$(BIN)/coordinator demo payments

demo-rides: $(VENV)/.runtime ## rides in time while the ETA fleet is down; run the rides demo: budgets while a fleet is down; no server, no settings (ARGS="--rate 15")
	@$(BIN)/coordinator demo rides $(ARGS)

demo-media: $(VENV)/.runtime ## a title through its agents, then many at once; run the media demo: a title for real with ffmpeg, then many at once (ARGS="--titles 200")
	@$(BIN)/coordinator demo media $(ARGS)

##@ Run it with docker compose
.PHONY: up demo-up status logs down
up: $(BIN)/python ## servers, workers, Flower; start servers, payments, the coordinator process, Flower (COMPOSE_PROFILES=media,rides,cluster: more)
	@$(BIN)/python deploy/stack.py up

SYSTEM := payments
demo-up: $(VENV)/.runtime ## a demo on what make up started; run a demo on what `make up` started (SYSTEM=payments|media|rides ARGS="--titles 20")
	@$(BIN)/python deploy/stack.py demo $(SYSTEM) $(ARGS)

status: $(BIN)/python ## each container, and what its health check says; each container, and what its health check says
	@$(BIN)/python deploy/stack.py status

logs: ## follow the logs; follow the logs (ARGS="fraud ledger" for some)
	@COMPOSE_PROFILES='*' docker compose logs --follow --tail 100 $(ARGS)

down: ## stop everything and keep what is stored; stop everything; what is stored stays for the next `make up` (ARGS="--volumes" deletes it)
	@COMPOSE_PROFILES='*' docker compose down --remove-orphans $(ARGS)

##@ Check it
# -n starts processes that share out the tests: one for each core, or two where tests wait for something most of the time.
# What is marked `alone` takes servers or containers down, or measures time, and runs after the others. Where ARGS chooses
# tests ("-k ..."), it may choose none of either kind: pytest ends with 5 then.
# A few tests that fail beside others are tried again, alone, and named (tests/second_try.py).
WITH_PYTHON := PYTHONDONTWRITEBYTECODE= $(BIN)/python # all processes read what one has compiled
PYTEST := $(WITH_PYTHON) -m pytest
SECOND_TRY := $(WITH_PYTHON) -m tests.second_try
ALL_CORES := -n logical --dist worksteal
SIDE_BY_SIDE := -n auto --dist worksteal -m "not alone"
OR_NONE := $(if $(ARGS),|| [ $$? -eq 5 ])

.PHONY: test test-all test-unit test-eager test-integration test-hostile test-smoke lint format
test: lint $(VENV)/.browser ## lint, and all tests but those in containers; lint, then all tests but the containers', on real servers (Docker or installed); some 20 minutes on 2 cores
	@$(SECOND_TRY) $(SIDE_BY_SIDE) $(ARGS) $(OR_NONE)
	@$(SECOND_TRY) -m "alone and not smoke" $(ARGS) $(OR_NONE)

test-all: ## everything that CI checks; everything CI checks: `make test`, the tests in containers, and integration on other versions of the servers
	@$(MAKE) --no-print-directory test test-smoke
	@! docker info >/dev/null 2>&1 || $(MAKE) --no-print-directory test-integration TEST_SERVERS=system

test-unit: $(VENV)/.dev ## unit tests, under a minute; unit tests, properties on a tenth of their examples: no server, under a minute
	@$(PYTEST) $(ALL_CORES) --hypothesis-profile=quick tests/unit $(ARGS)

test-eager: $(VENV)/.dev ## whole coordinators in this process, two minutes; tests of whole coordinators in this process: no server, about two minutes
	@$(SECOND_TRY) $(SIDE_BY_SIDE) tests/eager $(ARGS)

test-integration: $(VENV)/.dev ## integration and chaos tests on real servers; integration and chaos tests (TEST_SERVERS=auto|docker|system)
	@$(SECOND_TRY) $(SIDE_BY_SIDE) tests/integration $(ARGS) $(OR_NONE)
	@$(SECOND_TRY) -m alone tests/integration tests/chaos $(ARGS) $(OR_NONE)

MINUTES := 5
test-hostile: $(VENV)/.dev ## hostile messages on a whole installation; hostile messages, headers and bodies on a whole installation (MINUTES=5 SEED=... ARGS="--help")
	@$(BIN)/python -m tests.hostile --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

test-smoke: $(VENV)/.dev $(VENV)/.browser ## the tests in containers; the compose stack and pytest-celery, in real containers (needs a Docker engine)
	@$(SECOND_TRY) tests/smoke $(ARGS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	@echo "lint: ruff" && $(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet --diff .
	@echo "lint: mypy" && $(BIN)/mypy --no-error-summary
	@echo "lint: imports" && $(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## rewrite the code in the house style
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

##@ Measure it
.PHONY: bench bench-quick bench-peers bench-rides bench-media bench-journal
bench: $(VENV)/.dev ## everything beside durable Celery, into docs/performance.md (about 20 minutes; ARGS="throughput --rounds 9")
	@$(BIN)/python -m bench --document docs/performance.md $(ARGS)

bench-quick: $(VENV)/.dev ## the same with fewer runs, printed (about 5 minutes; ARGS="--help")
	@$(BIN)/python -m bench --quick $(ARGS)

bench-peers: $(VENV)/.dev ## install Dramatiq and Taskiq, so that they are measured too
	@$(PIP) install --no-deps --require-hashes --requirement requirements/bench.txt

bench-rides: $(VENV)/.dev ## rides on real servers while the ETA fleet is killed and slow: a table and a picture (ARGS="--help")
	@$(BIN)/python -m bench.rides_outage $(ARGS)

bench-media: $(VENV)/.dev ## many titles at once on real servers, a fleet gone for a while: tables and a picture (ARGS="--titles 10000")
	@$(BIN)/python -m bench.media_load $(ARGS)

bench-journal: $(VENV)/.dev ## how long lists take in a journal of ten million rows, with a PostgreSQL of its own (ARGS="--rows 1000000")
	@$(BIN)/python -m bench.journal_rows $(ARGS)

##@ Maintain it
.PHONY: lock api build clean help help-all
LOCK = "$${uv:-$(BIN)/uv}" pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: $(BIN)/python ## pin requirements/*.txt anew after a change of pyproject.toml (UPGRADE=1: newest versions)
	@uv=$$(command -v uv) || $(PIP) install uv; \
	$(LOCK) --group backend --all-extras --group dev --output-file requirements/dev.txt && \
	$(LOCK) --group backend --extra postgres --extra media --extra sealed --extra metrics --extra console --extra telemetry --extra s3 --constraint requirements/dev.txt --output-file requirements/runtime.txt && \
	$(LOCK) --group backend --all-extras --constraint requirements/dev.txt --output-file requirements/flower.txt && \
	$(LOCK) --group backend --all-extras --group dev --group bench --constraint requirements/dev.txt --output-file requirements/bench.txt

api: $(VENV)/.dev ## docs/api.md, made anew from the docstrings of what handoffs exports
	@$(BIN)/python deploy/api.py

build: $(VENV)/.dev ## the wheel and the source archive, into dist/
	@$(BIN)/python -m build --no-isolation --outdir dist

clean: ## back to a fresh checkout: removes .venv, caches and builds
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk 'BEGIN { FS = ":.*## |; " } /^##@ Measure/ { exit } \
	/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile
	@echo; echo 'make help-all lists the rest, and what each target takes: ARGS="-k envelope".'

help-all: ## all targets, and what each takes
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	/^[a-z-]+:.*## / { sub(/^[^;]*; /, "", $$2); printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo; echo 'ARGS="..." is passed on: make test-unit ARGS="-k envelope". PYTHON=... chooses the interpreter.'

# ---------------------------------------------------------------------------------------------------------------------
# Setting up. A name on PATH proves nothing (version managers leave shims that fail): the first candidate that runs,
# is new enough and can make virtual environments is taken.

CANDIDATES = $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

$(BIN)/python:
	@bare=; for python in $(CANDIDATES); do \
	  "$$python" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 || continue; \
	  if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "setting up: $(VENV) with $$("$$python" --version)"; \
	    exec "$$python" -m venv --clear $(VENV); \
	  fi; \
	  bare=$$python; \
	done; \
	if [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments: install its venv package (Debian, Ubuntu: apt-get install" \
	    "python3-venv), or name another with PYTHON=/path/to/python" >&2; \
	else \
	  echo "no Python 3.11 or newer runs here (tried: $(CANDIDATES)): install one, or name it with" \
	    "PYTHON=/path/to/python" >&2; \
	fi; exit 1

INSTALL_SELF = $(PIP) install --no-deps --no-build-isolation --editable .

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo "setting up: packages (about 15 s, once)"
	@$(PIP) install --no-deps --require-hashes --requirement requirements/runtime.txt
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "setting up: packages and development tools (about 30 s, once)"
	@$(PIP) install --no-deps --require-hashes --requirement requirements/dev.txt
	@$(INSTALL_SELF)
	@touch $@ $(VENV)/.runtime

$(VENV)/.browser: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.chromium
	@touch $@
