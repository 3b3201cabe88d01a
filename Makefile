# make app: run the app.   make test: style, types and the quick suite, before a commit.   make test-all: everything.
PYTHON ?= python3
BIN := .venv/bin
# Many processes of tests read what the first has compiled, wherever that is switched off.
export PYTHONDONTWRITEBYTECODE :=
DATA ?= ../shared/data
# make detector BACKBONE=... OUT=... trains on another tower (docs/training.md); CONFIG=training/configs/paper.json is the paper's recipe.
BACKBONE ?= clip-vit-b-16
OUT ?= runs/detector
CONFIG ?= training/configs/causal.json
# START=detector-linear starts the heads from its verdicts, as the shipped causal head did; REVISION names the detector.
START ?=
REVISION ?=
# make benchmark-NAME runs one benchmark (python -m benchmarks --help lists them); PICTURES bounds it. Outcomes of single
# pictures are kept in .cache: with none kept, benchmark-purification takes days on two cores.
PICTURES ?= 0
# make data brings the originals of training/tables/pictures.csv.gz there: from GitHub, or with MIRRORS=... from bare mirrors.
ORIGINALS ?= ../originals
MIRRORS ?=

# Processes of tests: one more than two cores have, for many tests wait.
WORKERS ?= 3
SUITE ?= not ray and not attack and not full

.PHONY: app test test-all attacks types suite test-archive data detector screenshot space space-rehearsal lock

app: .venv/.app
	$(BIN)/python app.py

# The types are checked beside the tests.
test: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --jobs 2 types suite

# Everything, Ray and slow tests included.
test-all:
	$(MAKE) test SUITE="not attack"

types: .venv/.dev
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

suite: .venv/.dev
	$(BIN)/pytest -m "$(SUITE)" -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 10 -r fER

# An archive on a local Ray: made whole, killed, and resumed.
test-archive: .venv/.dev
	$(BIN)/pytest -m ray tests/causalclip/test_archive.py

# Attacks on the running app that take minutes and count seconds and megabytes.
attacks: .venv/.dev
	$(BIN)/pytest tests/acceptance -m attack -s

data: .venv/.dev
	$(BIN)/python -m training data collect --out $(ORIGINALS) $(if $(MIRRORS),--mirrors $(MIRRORS))
	$(BIN)/python -m training data check

detector: .venv/.dev
	$(BIN)/python -m training detector --originals $(ORIGINALS) \
		--backbone $(BACKBONE) --config $(CONFIG) --out $(OUT) \
		$(if $(START),--start $(START)) $(if $(REVISION),--revision $(REVISION))

benchmark-%: .venv/.dev
	$(BIN)/python -m benchmarks $* --data $(DATA) --originals $(ORIGINALS) --pictures $(PICTURES)

lock: .venv/.dev
	$(BIN)/python -m scripts.lock

space:
	$(PYTHON) -m scripts.space $(if $(GPU),--gpu)

space-rehearsal: .venv/.dev
	$(BIN)/python -m scripts.space_rehearsal $(if $(GPU),--gpu)

screenshot: .venv/.dev
	$(BIN)/python scripts/screenshot.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.app: requirements.lock scripts/install.py | .venv/bin/python
	$(BIN)/python scripts/install.py
	touch $@

.venv/.dev: .venv/.app $(wildcard requirements*.txt)
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@
