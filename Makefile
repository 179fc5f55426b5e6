# make demo: fine-tunes on embedded pictures, and explains what the network sees.
# make test: the tests that take minutes; make test-slow: the other ones, of real sizes,
# many processes and kills; make test-all: both.
# All make a virtual environment in .venv first, where there is none.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-all check lint clean

demo: .venv/installed
	$(BIN)/jaxart train --config=demo --workdir=runs/demo
	$(BIN)/jaxart saliency --workdir=runs/demo \
	    --images=runs/demo/predictions.csv --image_root=runs/demo/procedural \
	    --out=runs/demo/saliency
	@echo
	@echo "The run is in runs/demo: result.json, predictions.csv, checkpoints/."
	@echo "What the network sees:    runs/demo/saliency/index.html"
	@echo "Its curves and pictures:  $(BIN)/tensorboard --logdir runs"

test: check
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -m slow

test-all: check
	$(BIN)/python -m pytest

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-test: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch .venv/installed $@

lint: .venv/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv runs
