# Everything from a bare Python >= 3.11, make and pip:
#
#   make demo     trains, deploys and audits a small network on real data
#   make test     all tests that need neither a GPU nor long
#   make check    format, lint, types
#   make docs     the documentation as a site, in build/site
#   make dist     wheel and source distribution, in dist
#   make setup    only installs, into .venv (the others do so first)
#   make clean    removes what was built, and .venv
#
# `make setup PYTHON=python3.12` names the interpreter, `make setup LAVA=no` leaves Lava out.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := dev,docs,events,onnx,tensorboard
LAVA ?= yes

# Also for the environments that source distributions are built in: older pip reads the first name
# there, newer pip the second. Relative, because pip splits these at spaces.
PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
INSTALL := $(PINNED) $(BIN)/python -m pip install --disable-pip-version-check
PYTHONS := python3 python3.13 python3.12 python3.11
AT_LEAST_3_11 := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test check docs dist setup clean

demo: setup
	$(BIN)/spikeproof demo --out runs/demo

# Every shape and type is checked at run time, which doubles what tests cost.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --jaxtyping-packages=spikeproof,beartype.beartype \
	  -m "not slow and not gpu"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# The variable silences an advertisement, which would be the only warning.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: setup
	rm -rf build/lib dist
	$(PINNED) $(BIN)/python -m build

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements-lava.txt
	@if ! $(BIN)/python -c '$(AT_LEAST_3_11)' 2>/dev/null; then \
	  for python in $(or $(PYTHON),$(PYTHONS)); do \
	    if "$$python" -c '$(AT_LEAST_3_11)' 2>/dev/null; then \
	      echo "$$python -m venv $(VENV)"; \
	      exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	  done; \
	  echo "expected Python 3.11 or newer, got none of: $(or $(PYTHON),$(PYTHONS));" \
	    "install one, or name it with 'make setup PYTHON=...'" >&2; \
	  exit 1; \
	fi
	$(INSTALL) -e '.[$(EXTRAS)]'
ifeq ($(LAVA),yes)
	$(INSTALL) -r requirements-lava.txt
	$(INSTALL) --ignore-requires-python --no-deps lava-nc==0.10.0 lava-dl==0.6.0
endif
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
