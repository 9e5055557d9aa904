# Two environments, made on demand and again when pyproject.toml changes: one per supported DuckDB major version.
# The benchmarks have two more.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The two test runs and the linters would only fight over the cores.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# What `make test` and `make test-fast` hand to pytest, e.g. PYTEST_ARGS="-n0 -x tests/unit". Tests of one file stay in
# one worker, which makes their servers and stores once, until another worker has nothing left to do.
PYTEST_ARGS ?= -n auto --dist worksteal
FAST_PATHS ?= tests/unit tests/docs duckfeat

VENV := .venv
VENV15 := .venv-duckdb15
VENV_BENCH := .venv-bench
VENV_PEERS := .venv-peers
RUN := $(VENV)/bin/python -m
RUN15 := $(VENV15)/bin/python -m

# `[all]` pins DuckDB 1.5, so the environment of 2.0 names the other extras one by one.
PACKAGES := 'duckdb==2.0.0' --editable '.[pandas,progress,ontologies]' --group dev
PACKAGES15 := 'duckdb==1.5.5' --editable '.[all]' --group test --group test-lake
PACKAGES_BENCH := 'duckdb==2.0.0' --editable '.[pandas,progress]' --group bench

# $(1): environment, $(2): what to install. `-qq` leaves errors only.
define environment
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'duckfeat needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo "Installing $(1) (a minute or more the first time) ..."
	@"$(PYTHON)" -m venv $(1)
	@$(1)/bin/python -m pip install -qq --upgrade 'pip>=25.1'
	@$(1)/bin/python -m pip install -qq $(2)
	@touch $(1)/.stamp
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.stamp: pyproject.toml
	$(call environment,$(VENV),$(PACKAGES))

$(VENV15)/.stamp: pyproject.toml
	$(call environment,$(VENV15),$(PACKAGES15))

$(VENV_BENCH)/.stamp: pyproject.toml
	$(call environment,$(VENV_BENCH),$(PACKAGES_BENCH))

$(VENV_PEERS)/.stamp: pyproject.toml
	$(call environment,$(VENV_PEERS),--group bench-peers)

.PHONY: demo
demo: $(VENV)/.stamp ## Run the main job on the flights data and print what it did
	@$(VENV)/bin/python examples/flights.py

.PHONY: test
test: test-duckdb20 test-duckdb15 ## Run the whole suite on DuckDB 2.0, then on 1.5 (with coverage)

.PHONY: test-duckdb20
test-duckdb20: $(VENV)/.stamp ## Run the whole suite on DuckDB 2.0
	$(RUN) pytest $(PYTEST_ARGS)

.PHONY: test-duckdb15
test-duckdb15: $(VENV15)/.stamp ## Run the whole suite on DuckDB 1.5, with coverage: only there lakes run, too
	$(RUN15) pytest --cov $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: $(VENV)/.stamp ## Run the unit tests and doctests on DuckDB 2.0, stopping at the first failure
	$(RUN) pytest -x $(PYTEST_ARGS) $(wildcard $(FAST_PATHS))

.PHONY: lint
lint: $(VENV)/.stamp ## Check style: ruff for Python, sqlfluff for SQL
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) sqlfluff lint --processes 0 sql

.PHONY: format
format: $(VENV)/.stamp ## Apply what ruff can fix by itself
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

.PHONY: types
types: $(VENV)/.stamp ## Check types: mypy in strict mode
	$(RUN) mypy

.PHONY: layers
layers: $(VENV)/.stamp ## Check that imports respect the layers
	$(VENV)/bin/lint-imports --no-logo

.PHONY: docs
docs: $(VENV)/.stamp ## Build the documentation into site/, any warning being an error
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

.PHONY: wheel
wheel: $(VENV)/.stamp ## Build the wheel into dist/
	$(RUN) hatchling build --target wheel

# What `make bench` and `make bench-peers` hand to their scripts, e.g. BENCH_ARGS="100000 --turns 5 --readme".
BENCH_ARGS ?=

.PHONY: bench
bench: $(VENV_BENCH)/.stamp ## Measure against hand-written SQL: a table, JSON and a plot into benchmarks/results/
	@$(VENV_BENCH)/bin/python benchmarks/bench.py $(BENCH_ARGS)

.PHONY: bench-large
bench-large: ## The same, growing to 100 million annotations, with the peak of memory
	@$(MAKE) bench BENCH_ARGS="--large $(BENCH_ARGS)"

.PHONY: bench-peers
bench-peers: $(VENV_BENCH)/.stamp $(VENV_PEERS)/.stamp ## Measure beside LaminDB and MLflow: a table and JSON
	@$(VENV_BENCH)/bin/python benchmarks/peers.py $(CURDIR)/$(VENV_PEERS)/bin/python $(BENCH_ARGS)

.PHONY: bench-search
bench-search: $(VENV)/.stamp ## Measure how good and how fast search and lookup are
	@for script in benchmarks/search_*.py benchmarks/lookup_speed.py; do \
		echo "== $$script"; $(VENV)/bin/python "$$script" || exit 1; done

.PHONY: clean
clean: ## Remove environments, builds and caches
	rm -rf $(VENV) $(VENV15) $(VENV_BENCH) $(VENV_PEERS) dist site htmlcov .coverage .coverage.* .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
