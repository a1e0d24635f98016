# The whole tool chain: Python and make on the machine, everything else by hash from requirements.lock.

PYTHON ?= python3
PYTEST_ARGS ?=
# How long the campaigns of faults go on in a soak (docs/faults.md).
SOAK_MINUTES ?= 60
export SOAK_MINUTES
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMP := .venv/.installed

.PHONY: run test check soak lock clean

run: $(STAMP)
	@$(BIN)/billing-ledger demo

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not soak" $(PYTEST_ARGS)

check: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || \
	  { echo "not formatted: run .venv/bin/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

soak: $(STAMP)
	@$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

# One lock for every platform, for running, testing and building; no address in it.
lock: $(STAMP)
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links --annotation-style line --python-version 3.11 \
	  --group dev --group build pyproject.toml --output-file requirements.lock

clean:
	@rm -rf .venv

# --no-compile: modules are compiled when first imported, which most of them never are.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "billing-ledger needs Python 3.11 or newer: no $(PYTHON) on the PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("billing-ledger needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + " (another one: make PYTHON=...)")'
	@echo "setting up .venv (once) ..." >&2
	@test -x $(BIN)/python || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(PIP) install --no-compile --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(STAMP)
