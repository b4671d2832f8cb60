# make repro   everything from the sample's recordings to a judge, with the metrics at the end
# make test    every test
# make check   format, lint, types and tests: what a change must pass
# make standins   train the sample's stand-in encoders again (an hour; their results are in git)

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1

.PHONY: install repro test check lint standins
install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dvc,test]'
	touch $@

repro: install
	dvc repro
	@cat metrics/evaluate.md

# A process a core, one thread each: threads that wait for each other cost more than they bring.
test: install
	OMP_NUM_THREADS=1 pytest --numprocesses auto

lint: install
	ruff format --check .
	ruff check .
	mypy

check: lint test

standins: install
	cd checkpoints/sample && python beats.py && python clap.py && python llm.py
	dvc commit --force checkpoints/sample/dvc.yaml
