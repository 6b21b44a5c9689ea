# The commands of a developer, of CI and of a first visitor. `make` alone lists them.
# Needs only python3 (3.11 or newer) with venv, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := packaging/pytest.sh
WORKERS ?= 2
PART ?= 1/1
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --exclude-newer "7 days"

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: help setup demo test peers lint lab campaign bench lock docs build clean

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(VENV)/.project  ## make .venv with everything the project needs

$(VENV)/.lock: packaging/requirements.lock
	@echo "setup: packages into $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "setup: $(PYTHON) is too old: python 3.11 or newer is needed" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ echo "setup: $(PYTHON) -m venv failed: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r packaging/requirements.lock
	@touch $@

$(VENV)/.project: $(VENV)/.lock pyproject.toml
	@echo "setup: deleatur, editable"
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## take a small closing web shop through the whole walk
	@$(BIN)/deleatur demo

peers:  # programs that the tests compare with: openssl, age, cosign ...
	@packaging/peers.sh

test: setup peers  ## run all tests but the long campaign
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal -m "not campaign and not lab"

lab: setup peers  ## run the tests that need a virtual machine, with drives of its own
	@$(PYTEST) -q -n $(WORKERS) --dist loadfile -m "lab and not campaign" tests/lab

campaign: setup peers  ## run the full matrices; PART=2/8 runs one eighth
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal -m campaign --part $(PART) || \
		{ [ $$? = 5 ] && echo "campaign: part $(PART) holds no test"; }

lint: setup  ## check style, types, layers and the tree
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "lint: run $(BIN)/ruff format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >$(VENV)/lint-imports.log 2>&1 || { cat $(VENV)/lint-imports.log >&2; exit 1; }
	@$(BIN)/python packaging/tree.py
	@$(BIN)/python packaging/changelog.py check
	@$(BIN)/python packaging/reference.py check
	@echo "lint: clean"

bench: setup  ## run every benchmark, the quick form
	@short=0; for benchmark in benchmarks/[a-z]*.py; do \
		name=$$(basename $$benchmark .py); \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name --quick || short=1; \
	done; exit $$short

build: setup  ## build sdist and wheel twice, compare, and try the wheel in a new environment
	@packaging/build.sh

docs: setup  ## write the generated reference pages again
	@$(BIN)/python packaging/reference.py write

lock: setup  ## resolve the packages again (nothing younger than a week)
	@test -x $(BIN)/uv || $(BIN)/pip install -qq --disable-pip-version-check uv
	@$(UV_COMPILE) --all-extras --group dev --upgrade --output-file packaging/requirements.lock pyproject.toml
	@$(UV_COMPILE) --constraints packaging/requirements.lock --output-file packaging/runtime.lock pyproject.toml
	@grep -c '^[a-z]' packaging/requirements.lock packaging/runtime.lock

clean:  ## remove everything that can be made again
	@rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find agent plugins tests benchmarks packaging docs -name __pycache__ -type d -prune -exec rm -rf {} +
