# One virtual environment, made once and again whenever what it holds changes.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
NEEDS := pyproject.toml constraints.txt

.PHONY: quickstart test fast lint types contracts install clean

quickstart: $(VENV)/installed  ## install, run the shipped quickstart study, show the result
	@$(BIN)/sweep run quickstart

test: $(VENV)/installed-test  ## the whole suite, two files at a time: many of its tests wait
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=25

fast: $(VENV)/installed-test  ## without the slow tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/installed-test
	$(BIN)/pyright

contracts: $(VENV)/installed-test
	$(BIN)/lint-imports

install: $(VENV)/installed

$(VENV)/installed: $(NEEDS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . -c constraints.txt
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) runs
