# Two commands are all a user needs: `make run` and `make test`. The rest is for those who work on hwbench.
# Every path is relative, so that a clone may lie in a folder with a space in its name.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install -c constraints.txt
PYTEST := $(BIN)/python -m pytest -q
PARALLEL := -n auto --dist worksteal --ignore=tests/browser --ignore=tests/accelerator
ARGS ?=
WITH ?=

.PHONY: run test test-all test-lowest test-browser machines browser lint bench gpu-check clean

run: $(VENV)/.run  ## Install hwbench, measure this machine, write a report.
	@$(BIN)/python -m hwbench run $(ARGS)

test: $(VENV)/.dev  ## Run the tests, but for the slow ones.
	@$(PYTEST) $(PARALLEL) -m "not slow"
	@$(PYTEST) tests/accelerator -m "not slow"

test-all: $(VENV)/.dev  ## Run the tests, the slow ones too.
	@$(PYTEST) $(PARALLEL)
	@$(PYTEST) tests/accelerator

test-lowest:  ## Run the tests with the lowest versions that pyproject.toml allows, in .venv-lowest; WITH="torch==X" for others.
	@PYTHON="$(if $(filter file,$(origin PYTHON)),,$(PYTHON))" VENV= WITH="$(WITH)" ARGS="$(ARGS)" sh tools/test-lowest.sh

test-browser: $(VENV)/.browser browser  ## Open pages in a real browser; HWBENCH_SCREENSHOTS=FOLDER keeps pictures.
	@$(PYTEST) tests/browser

machines: $(VENV)/.dev  ## What depends on the processor, as machines with less of one would run it.
	@PYTHON=$(BIN)/python sh tools/machines.sh

lint: $(VENV)/.dev  ## Check style and types.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev  ## Measure hwbench itself: what its harness costs a step.
	@$(PYTEST) -s --benchmark-enable --benchmark-only tests/bench

gpu-check:  ## Everything that needs a GPU, within BUDGET=480 seconds, with the python3 that is there; results go to OUT.
	@"$(if $(filter file,$(origin PYTHON)),python3,$(PYTHON))" tools/gpu_check

$(VENV)/.venv:
	@test -n "$(PYTHON)" || { echo "hwbench needs Python 3.11 or newer with venv; none found. Install it, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.venv pyproject.toml constraints.txt
	@echo "installing hwbench into $(VENV) (once; torch is large)" >&2
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.browser: $(VENV)/.run
	@$(PIP) -e '.[browser]'
	@touch $@

browser:
	@sh tools/install-browser.sh

clean:  ## Remove what was installed and built; results stay.
	rm -rf $(VENV) $(VENV)-lowest build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
