# Everything a fresh checkout needs; python3 >= 3.11 and make are enough.
#
#   make demo PYTHON=python3.13      another interpreter
#   PIP_EXTRA_INDEX_URL=... make demo
#                                    with PyTorch's CPU index: the small torch, no CUDA

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo breadth test test-slow lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up .venv, run the demo suite, write its report"
	@echo "make breadth    the same with every other kind of learned solver"
	@echo "make test       set up .venv, then format, lint, types and tests"
	@echo "make test-slow  the tests that train networks or refine far"
	@echo "make lint       format, lint and types only"
	@echo "make clean      remove .venv, results and caches"

# Set up again whenever what is to be installed has changed.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "pinnsuite needs Python 3.11 or newer, and '$(PYTHON)' was not found." \
	       "Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pinnsuite needs Python 3.11 or newer; '$(PYTHON)' is" \
	       "$$($(PYTHON) --version 2>&1). Name a newer one: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@echo "Setting up $(VENV) (once; torch is large, so this takes some minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 \
	  $(BIN)/python -m pip install -q -e '.[dev]' -c constraints.txt
	@touch $@

# Status 1 says that some run did not end ok (a budget that was too short, say): that is
# a result, which the table and the report show.
demo breadth: $(STAMP)
	@$(BIN)/pinnsuite run problems/suites/$@.toml --out results/$@ || test $$? -eq 1
	@echo "The report:"
	@$(BIN)/pinnsuite report results/$@

# One thread: timings and rounding do not depend on the machine's core count.
test test-slow: export OMP_NUM_THREADS := 1
test test-slow: export OPENBLAS_NUM_THREADS := 1
test test-slow: export MKL_NUM_THREADS := 1

lint: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

# Two processes of one thread each.
test: lint
	$(BIN)/pytest -q -n 2

test-slow: $(STAMP)
	$(BIN)/pytest -q -m slow

clean:
	rm -rf $(VENV) results build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
