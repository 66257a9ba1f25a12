# Needs Python 3.11 or newer with venv, and make. Each target makes the virtual environment it needs from a lock file,
# with hashes, when there is none or the lock changed.
#   make up      run the platform here (ARGS="--anonymous default/default" and so on)
#   make test    every test, under ten minutes on two cores       make quick   without those marked slow
#   make lint    style, types                                     make bench   first figures of speed
#   make demo    336,776 flights: in, cold, out, compared         make soak    the fault tests, ROUNDS times over
#   make screenshots   a picture of every page of the console, in build/screenshots (needs Chromium)
PYTHON ?= python3
ARGS ?=
TESTS ?= tests
WORKERS ?= 2
ROUNDS ?= 10
BIN := .venv/bin
SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: help up test quick lint bench demo soak screenshots clean venv venv-dev

help:
	@sed -n '1,/^PYTHON/s/^# \{0,1\}//p' Makefile

up: venv
	$(BIN)/coldstream up $(ARGS)

# By file, so that servers a module starts are started once; two workers, because that is what the smallest machine has.
test: venv-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS) $(TESTS)

quick: venv-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" $(ARGS) $(TESTS)

lint: venv-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: venv-dev
	$(BIN)/python -m coldstream.tests.bench $(ARGS)

demo: venv-dev
	$(BIN)/python -m coldstream.tests.demo.flights $(ARGS)

soak: venv-dev
	@round=1; while [ $$round -le $(ROUNDS) ]; do \
		echo "soak: round $$round of $(ROUNDS)"; \
		$(BIN)/python -m pytest -q $(ARGS) tests/faults || exit 1; \
		round=$$((round + 1)); \
	done

screenshots: venv-dev
	$(BIN)/python -m coldstream.tests.browser.pictures $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What runs the platform. The development lock holds all of it, so an environment made for tests will do.
venv: .venv/run.stamp
venv-dev: .venv/dev.stamp .venv/typing/coldstream

.venv/run.stamp: requirements.lock pyproject.toml
	@if [ .venv/dev.stamp -nt requirements.lock ] && [ .venv/dev.stamp -nt requirements-dev.lock ] \
		&& [ .venv/dev.stamp -nt pyproject.toml ]; then touch $@; \
	else $(MAKE) --no-print-directory install LOCK=requirements.lock && touch $@; fi

.venv/dev.stamp: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory install LOCK=requirements-dev.lock
	@touch $@

# mypy finds the package through this link: the repository root is package `coldstream`, whatever the checkout is called.
.venv/typing/coldstream: .venv/dev.stamp
	@mkdir -p .venv/typing && ln -sfn ../.. $@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "coldstream needs Python 3.11 or newer: $(PYTHON) is" `$(PYTHON) -V` "(make PYTHON=… names another)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing $(LOCK) into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
