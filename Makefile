# `make` lists the targets. All of them work in .venv, made on first use from requirements.lock.

# The first Python on the path that is new enough; `make PYTHON=/path/to/python3.12 ...` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help reports test check lint bench docs lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

reports: $(READY) ## run the study of config/config.yaml; the reports start at reports/index.html
	@$(BIN)/snakemake --cores all

test: $(READY) ## run all tests, on all processors
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(READY) ## run the quick tests: no cluster, no run of Snakemake, no browser
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m 'not (slurm or workflow or browser or slow)'

lint: $(READY) ## check style, types and the workflow
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint

bench: $(READY) ## time the engine beside its peers (benchmarks/bench.py says how to install them)
	@$(BIN)/python -m benchmarks.bench

docs: $(READY) ## write config/README.md from the schema and the site docs/_build/index.html
	@$(BIN)/python -m lmmstudy.config.docs
	@$(BIN)/python -m sphinx -q -W --keep-going -E -d docs/_build/.doctrees docs docs/_build
	@echo 'The site starts at docs/_build/index.html'

lock: ## resolve pyproject.toml anew into requirements.lock (needs the package uv)
	@printf '%s\n' 'setuptools>=77' | uv pip compile --quiet --no-config --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --extra docs --extra slurm --extra test pyproject.toml - --output-file requirements.lock

clean: ## delete results, reports, logs (not .venv)
	@rm -rf results logs .snakemake runs docs/_build
	@find reports -mindepth 1 ! -name README.md -delete

# The package goes in last: its dependencies are there already, and the locked setuptools builds it.
$(READY): requirements.lock pyproject.toml $(wildcard lmmcore/kernel/*.[ch])
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed: install it, or say make PYTHON=...'; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@echo 'Installing the locked packages into .venv (once)'
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@
