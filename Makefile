# Two commands do everything on a machine with Python 3.11 or later and make: `make demo` and `make test`.
# All that they make is in .venv (and .go-build); `make clean` removes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := $(shell find cvmproxy twisted -name '*.py' -not -name '.*' 2>/dev/null) cvmproxy/py.typed setup.cfg pyproject.toml

NEEDED := import sys; sys.version_info >= (3, 11) or sys.exit("cvmproxy needs Python 3.11 or later, and " \
	+ sys.executable + " is " + sys.version.split()[0] + ": name another one with make PYTHON=...")
VENV_NEEDED := import importlib.util, sys; all(map(importlib.util.find_spec, ("venv", "ensurepip"))) or sys.exit( \
	sys.executable + " has no venv or no ensurepip: install them (Debian and Ubuntu: apt install python3-venv)")

.PHONY: demo test lint sabotage clean

demo: $(VENV)/installed
	@$(BIN)/cvmproxy demo

# The tests see the installed wheel and nothing of the source tree: they run from an empty directory.
test: $(VENV)/tools lint
	@mkdir -p $(VENV)/elsewhere
	cd $(VENV)/elsewhere && CVMPROXY_TEST_INSTALLED=1 ../bin/pytest -c ../../pyproject.toml ../../tests
	@$(MAKE) --no-print-directory sabotage

lint: $(VENV)/tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sabotage: $(VENV)/tools
	$(BIN)/python tests/sabotage/run.py

clean:
	rm -rf $(VENV) .go-build build dist *.egg-info .mypy_cache .ruff_cache .hypothesis

$(VENV)/created:
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11 or later" >&2; exit 1; }
	@"$(PYTHON)" -c '$(NEEDED)'
	@"$(PYTHON)" -c '$(VENV_NEEDED)'
	@rm -rf $(VENV)
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

# setuptools keeps deleted modules in build/, and pip keeps an installed package of the same version: start afresh.
$(VENV)/installed: $(VENV)/created $(SOURCES)
	@rm -rf build *.egg-info $(VENV)/wheel
	$(PIP) wheel --quiet --no-deps --wheel-dir $(VENV)/wheel .
	@rm -rf build *.egg-info
	@$(PIP) uninstall --quiet --yes cvmproxy 2>/dev/null
	$(PIP) install --quiet $(VENV)/wheel/*.whl
	@touch $@

$(VENV)/tools: $(VENV)/installed
	$(PIP) install --quiet "$$(echo $(VENV)/wheel/*.whl)[test,lint]"
	@touch $@
