# Each target does everything on a fresh machine: environment, installation, run. Later runs start at once.
PYTHON ?= python3
# Any requirement that pip understands; the default takes the newest release with the CUDA libraries.
TORCH ?= torch>=2.8
# pytest's workers; the tests share nothing.
WORKERS ?= 2

# Compiled files are kept, whatever the environment says: every process of a test would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart test lint ruff mypy pytest examples docs clean

quickstart: .venv/installed
	.venv/bin/gpicl quickstart

test: ruff
	$(MAKE) --no-print-directory --jobs 2 mypy pytest

lint: ruff mypy

ruff: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

mypy: .venv/installed
	.venv/bin/mypy

pytest: .venv/installed
	.venv/bin/pytest -n $(WORKERS) --dist worksteal

examples: .venv/installed
	@for file in examples/*.py; do echo "== $$file"; .venv/bin/python $$file || exit 1; done

docs: .venv/installed
	.venv/bin/sphinx-build -q -W --keep-going docs docs/_build/html
	@echo "The documentation: docs/_build/html/index.html"

.venv/installed: pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet "$(TORCH)" --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache runs docs/_build docs/generated
