# `make` shows the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# LightGBM needs an OpenMP runtime that its package doesn't bring. Where the system has none, that of
# scikit-learn's package serves: it is linked into this folder when the environment is made.
OPENMP := $(CURDIR)/$(VENV)/lib/openmp
export LD_LIBRARY_PATH := $(OPENMP)$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))
define link_openmp
@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || \
	{ mkdir -p $(OPENMP) && ln -sf $(CURDIR)/$(VENV)/lib/python*/site-packages/scikit_learn.libs/libgomp-*.so* $(OPENMP)/libgomp.so.1; }
endef

# The whole suite runs on up to four processors; a file's tests share what they set up, and stay together. The
# longest files come first (tests/conftest.py), not those with the most tests.
SIDE_BY_SIDE := -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up test check bench lock openapi permissions format clean scan

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

up: $(VENV)/.$(if $(filter emulators,$(PLATFORM)),emulators,twin) ## Start the local twin (PLATFORM=emulators: on emulators; REPLAY=60: plays 60 sessions a minute)
	@$(BIN)/python -m infra.local

test: $(VENV)/.dev ## Run the whole test suite
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

check: $(VENV)/.dev ## Format, lint, types, import contracts, generated files, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

scan: $(VENV)/.dev ## Scan terraform/ (checkov, in an environment of its own)
	@SCAN=1 $(BIN)/python -m pytest tests/terraform/test_scanner.py

bench: $(VENV)/.dev ## Run the benchmarks; peers go into throw-away environments
	@$(BIN)/python -m tests.benchmarks

lock: $(VENV)/.dev ## Lock all dependencies anew (UPGRADE=1 takes newer versions)
	$(BIN)/python -m infra.lock $(if $(UPGRADE),--upgrade)

openapi: $(VENV)/.dev ## Write the OpenAPI file anew
	$(BIN)/python -m infra.openapi

permissions: $(VENV)/.dev ## Write the table of who may do what anew
	$(BIN)/python -m infra.permissions

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the environment; the state folder stays
	rm -rf $(VENV)

include infra/delivery.mk

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 up"; exit 1; }
	@echo "Creating the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python's venv module is needed (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(BIN)/python" -m shared.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/mlengine
	@chmod +x $(BIN)/mlengine

$(VENV)/.twin: infra/requirements/twin.txt | $(BIN)/python
	@echo "Installing the locked packages, once; it may take a few minutes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(link_openmp)
	@touch $@

$(VENV)/.emulators: infra/requirements/emulators.txt | $(BIN)/python
	@echo "Installing the locked packages for the emulators, once; it may take a few minutes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(link_openmp)
	@touch $@ $(VENV)/.twin

$(VENV)/.dev: infra/requirements/dev.txt | $(BIN)/python
	@echo "Installing the locked packages for development, once; it may take a few minutes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(link_openmp)
	@touch $@ $(VENV)/.twin $(VENV)/.emulators
