# `make demo` trains with a compiled optimizer; `make test` runs every check. Both set up .venv by themselves:
# a machine needs Python 3.11+, make and a C++ compiler.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

.PHONY: demo test fuzz lint types generated drift clean

demo: $(READY)
	$(BIN)/optdsl compile specs/adam.opt
	PYTHONPATH=. $(BIN)/python examples/digits.py

test: lint types drift
	$(PYTEST)

# The tests that draw their examples, with other examples each time.
fuzz: $(READY)
	$(PYTEST) -m hypothesis --hypothesis-profile random

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/optdsl fmt --check specs

types: $(READY)
	$(BIN)/mypy

# The committed package and pages, written again from the specs; `drift` tells whether they are up to date.
generated: $(READY)
	$(BIN)/optdsl compile specs/*.opt
	$(BIN)/python docs/generate.py

drift: $(READY)
	$(BIN)/optdsl compile specs/*.opt --check
	$(BIN)/python docs/generate.py --check

# torch goes first and alone: a CPU build stays a CPU build when Triton is added afterwards.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out dist build
