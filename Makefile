# The verbs of this project; people and CI use the same ones. `make demo` and `make test` need nothing but Python ≥ 3.11.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Idle OpenMP threads must not spin on the core that another process needs.
export OMP_WAIT_POLICY := passive

.PHONY: install demo test lint types format bench clean help

help:
	@echo "make demo     train and compare models on the embedded data set, write runs/demo/report.html"
	@echo "make test     lint, types and tests"
	@echo "make format   let ruff rewrite the code"
	@echo "make bench    list the benchmarks"
	@echo "make clean    remove the virtual environment and caches"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

demo: install
	$(BIN)/pictokg demo --out runs/demo

test: lint types
	$(BIN)/python -m pytest --numprocesses 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	@find benchmarks -name '*.py' ! -name '__init__.py' | sort | sed 's|/|.|g; s|\.py$$||; s|^|$(BIN)/python -m |'

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
