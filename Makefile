# make demo: fine-tunes on embedded pictures, and explains what the network sees.
# make test: the tests that take minutes; make test-slow: the other ones, of real sizes,
# many processes and kills; make test-all: both.
# make test-oldest: the quick tests with the oldest packages that pyproject.toml allows.
# make docs: the documentation, into site/.
# All make a virtual environment first, where there is none: .venv, or .venv-oldest.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-all test-oldest check docs lint clean

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

# Old packages warn of what newer ones no longer do. PATHS=tests/models runs a part.
test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python -m pytest -m "not slow" -o filterwarnings=default $(PATHS)

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-test: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch .venv/installed $@

.venv/installed-docs: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[docs]'
	@touch .venv/installed $@

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/pip install --quiet uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python \
	    --resolution lowest-direct --editable '.[test]'
	@touch $@

lint: .venv/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-oldest runs site
