# Everything a developer or a newcomer types. `make` alone lists it.
# Needs Python 3.11 or newer, and apt or brew for the Mosquitto broker and, for tests, Redis and PostgreSQL; all else goes into .venv.

.DEFAULT_GOAL := help
.PHONY: help demo test check audit bench bench-short faults faults-short lock clean

# Empty: 3.11, which all tests run on, or else the next newer one on PATH.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet

# Stamps: what stands in the virtual environment, so that a repeated call does nothing.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
AUDIT := $(VENV)-audit/.audit

# Real parts of the tests. strace, which shows what reaches the disk, and a library that
# makes it fail are Linux's.
TEST_PROGRAMS := mosquitto mosquitto_pub redis-server initdb openssl curl dot $(if $(filter Linux,$(shell uname)),strace cc)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-14s%s\n' "$$name" "$$what"; done

demo: $(RUNTIME) ## set everything up, then show messages going through the sample pipelines
	@scripts/ensure mosquitto || { \
		echo "The demo goes on with amqtt, a broker in Python that is good for development only."; \
		$(MAKE) --no-print-directory $(DEV); }
	@$(BIN)/fp-events demo

test: check ## set everything up, then all checks and all tests; a missing real part is a failure
	@scripts/ensure $(TEST_PROGRAMS)
	CI=true $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(DEV) ## lint, format, types, layers, lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_lock.py

audit: $(AUDIT) ## ask PyPI for known vulnerabilities of what is locked; needs its JSON API, and fails without
	$(VENV)-audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt -r requirements-build.txt

bench: $(DEV) ## measure, side by side with others, which it installs outside the project; tables, JSON, a plot
	@scripts/ensure mosquitto
	@$(BIN)/python -m benchmarks.install
	$(BIN)/python -m benchmarks

bench-short: $(DEV) ## the same in two minutes, with what is there
	@scripts/ensure mosquitto
	$(BIN)/python -m benchmarks --short

faults: $(DEV) ## break a daemon in every way of docs/delivery.md and count what is lost: hours; report in build/
	@scripts/ensure $(TEST_PROGRAMS)
	$(BIN)/python -m faults

faults-short: $(DEV) ## the same in 90 seconds, each fault a few times
	@scripts/ensure $(TEST_PROGRAMS)
	$(BIN)/python -m faults --short

# No options: an address belongs to the machine that installs.
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile $(UPGRADE) --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-options

lock: $(DEV) ## lock what pyproject.toml asks, with Python 3.11, the oldest supported; make lock UPGRADE=-U: newest versions
	$(COMPILE) --extra dev --constraint requirements-build.in --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml
	$(COMPILE) --constraint requirements-dev.txt --output-file requirements-build.txt requirements-build.in
	$(COMPILE) --output-file requirements-audit.txt requirements-audit.in

clean: ## remove the virtual environment, caches and builds; the ledger in .fp-events/ stays
	rm -rf $(VENV) $(VENV)-audit build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python=$$([ -n "$(PYTHON)" ] && echo "$(PYTHON)" || scripts/find-python) && \
		echo "Making $(VENV) with $$python" && "$$python" -m venv $(VENV)

$(RUNTIME): requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	@echo "Installing fp-events and what it needs into $(VENV)"
	@$(PIP) --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

$(AUDIT): requirements-audit.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip --disable-pip-version-check install --quiet --quiet --require-hashes -r $<
	@touch $@
