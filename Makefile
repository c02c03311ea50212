# `make run` and `make test` need Python >= 3.11 (with venv) and make; all else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SNAKEMAKE := $(BIN)/snakemake --cores all
SEEDS := $(addprefix results/seed-,0 1 2 3 4)
SEARCHED := $(addprefix results/seed-,5 6 7 8 9)
PLAIN := $(addprefix results/plain-,1000 2000 4000 8000 16000 32000)
# Where the tests of faults are; those of Slurm need root and apt, and say so where they skip.
FAULTS ?= tests/faults tests/slurm
# Trainings take one core each: the longest first, or the other core waits for it.
LONGEST := $(patsubst %,results/plain-%/train/constant/manifest.json,32000 16000)
LONG_TRAININGS := $(foreach seed,5 6 7,results/ct-32000-$(seed)/train/constant/manifest.json)

# Extras of the longer suites, installed where they are missing: pip takes `lcsc` away for a moment, from suites beside it, too.
CLUSTER = $(BIN)/python -c 'import snakemake_executor_plugin_slurm, snakemake_storage_plugin_fs' 2>/dev/null || $(BIN)/python -m pip install --quiet -e ".[cluster]"
BROWSER = $(BIN)/python -c 'import playwright, axe_playwright_python' 2>/dev/null || $(BIN)/python -m pip install --quiet -e ".[browser]"

.DEFAULT_GOAL := help
.PHONY: help run test test-gpu test-workflow test-slurm test-faults bench bench-recorder bench-main bench-search
.PHONY: extras figures lint pictures unlock report clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is too old or missing: Python 3.11 or newer is needed; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $(STAMP)

run: $(STAMP) ## run the main job of config/config.yaml, minutes on two cores
	$(BIN)/lcsc watch -- $(SNAKEMAKE)

test: $(STAMP) ## run the tests, as many at once as there are cores, at most four
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-gpu: $(STAMP) ## run the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu tests/gpu

test-workflow: $(STAMP) ## run the workflow end to end in small, with kills, resumes and extensions
	@command -v rsync >/dev/null || { apt-get update -q && apt-get install -q -y rsync; } >/dev/null 2>&1 || true
	@$(CLUSTER) || echo "the test of storages is skipped: the extra 'cluster' cannot be installed here"
	$(BIN)/python -m pytest -m workflow --timeout 900 tests/workflow

test-slurm: $(STAMP) ## run a small search through a real one-node Slurm (needs root and apt; says so where it skips)
	@if $(CLUSTER); then \
	  $(BIN)/python -m pytest -m "slurm and not faults" tests/slurm; \
	else echo "test-slurm is skipped: the extra 'cluster' (Snakemake's plugins for Slurm and storages) cannot be installed here"; fi

test-faults: $(STAMP) ## kills, full disks, damaged files and the like; KILLS=10 kills ten times in place of a hundred
	@command -v faketime >/dev/null || { apt-get update -q && apt-get install -q -y faketime; } >/dev/null 2>&1 || true
	$(CLUSTER)
	KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest -m faults --timeout 900 $(FAULTS)

extras: $(STAMP) ## install what test-slurm, test-faults and test-browser need besides
	$(CLUSTER)
	$(BROWSER)

test-browser: $(STAMP) ## open report pages in Debian's Chromium (fetched where root and apt are at hand; else says so)
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -q -y chromium; } >/dev/null 2>&1 || true
	@if $(BROWSER); then \
	  $(BIN)/python -m pytest -m browser tests/browser; \
	else echo "test-browser is skipped: the extra 'browser' (Playwright) cannot be installed here"; fi

bench: $(STAMP) ## time the distance, the combining of checkpoints and gradients, and measure the memory of these
	$(BIN)/python tests/bench/bench_core.py
	$(BIN)/python tests/bench/bench_bank.py
	$(BIN)/python tests/bench/bench_gradient.py
	$(BIN)/python tests/bench/bench_evaluation.py

bench-recorder: $(STAMP) ## time what a recorder's save costs a training, against torch.save
	$(BIN)/python tests/bench/bench_recorder.py

bench-main: $(STAMP) ## run the main job for five training seeds and compare them
	$(SNAKEMAKE) --configfile config/bench-main.yaml
	$(BIN)/lcsc compare $(SEEDS)

bench-search: $(STAMP) ## compare every method over five training seeds, and with plain trainings
	$(SNAKEMAKE) --configfile config/bench-search.yaml --prioritize $(LONGEST) -- evaluations traces
	$(BIN)/python tests/bench/bench_search.py $(SEARCHED) $(PLAIN)
	$(BIN)/lcsc curves $(SEARCHED) --output docs/images

figures: $(STAMP) ## make the paper's figures and claims on real digits, and put them into docs
	$(BIN)/lcsc watch -- $(SNAKEMAKE) --configfile config/figures.yaml --prioritize $(LONG_TRAININGS) -- figures
	mkdir -p docs/images/paper
	cp results/figures/*.svg results/figures/*.csv docs/images/paper/
	cp results/figures/paper.md docs/paper.md

lint: $(STAMP) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

pictures: ## put the main job's pictures into the README
	mkdir -p docs/images
	cp results/digits/report/result.svg results/digits/report/images.png docs/images/

unlock: $(STAMP) ## free the folder after Snakemake was killed; then start again
	$(BIN)/snakemake --unlock

report: $(STAMP) ## bundle the results as Snakemake's report
	$(SNAKEMAKE) --report results/snakemake-report.html

clean: ## remove results, logs and caches, but not .venv
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf logs benchmarks .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
