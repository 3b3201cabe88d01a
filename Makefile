# make app: run the app.   make test: everything that must be green.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data

.PHONY: app test benchmark-latency benchmark-detection

app: .venv/.app
	$(BIN)/python app.py

test: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

benchmark-latency: .venv/.dev
	$(BIN)/python benchmarks/latency.py

benchmark-detection: .venv/.dev
	$(BIN)/python benchmarks/detection.py --data $(DATA)/forensics

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.app: requirements.txt | .venv/bin/python
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@ .venv/.app
