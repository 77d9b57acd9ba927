# make demo    train the example on a fresh clone; prints the test table and the path of the report
# make test    the default tests; those that need real data use ../shared/data where it exists
# make reliability  every fault at full length, up to 3 hours on 2 cores; writes docs/reliability.md. Cut off, it goes on
# make bench-data   reading data beside the usual way and the bare decoder, as ratios; needs the real data
# make bench   Torchwork beside a bare loop and other libraries, up to three hours; bench-quick: some minutes
# make bench-many   two processes beside one, and beside other libraries' two
# make profile CONFIG=examples/digits.yaml   the ten largest costs of a config's steps, and a trace of them
# make check   formatting, lint, types
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
INSTALLED := $(VENV)/.installed

ifneq ($(wildcard ../shared/data),)
export TORCHWORK_TEST_DATA ?= $(abspath ../shared/data)
endif

# The processes that tests start read modules as Python keeps them compiled, rather than compile each anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all reliability bench bench-quick bench-many bench-data profile check format clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/torchwork train examples/digits.yaml

# A worker more than cores: half of the time of the tests is waited for processes that they kill, watch or time out.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)') --dist worksteal

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -m ""

reliability: $(INSTALLED)
	$(BIN)/python tests/reliability/full.py -n auto --dist worksteal

bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.suite

bench-quick: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.suite --quick

bench-many: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.suite --many

bench-data: $(INSTALLED)
	$(BIN)/python benchmarks/data/run.py

profile: $(INSTALLED)
	$(BIN)/python -m benchmarks.profiling $(CONFIG)

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamp is written last: an installation that broke off is made anew, as is one older than what it was made from.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

$(BENCH)/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install -c constraints.txt -r benchmarks/requirements.txt -e .
	touch $@

clean:
	rm -rf $(VENV) $(BENCH) .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
