# make demo     everything on this machine: Label Studio, the ML backend, two projects. ARGS=--check proves and exits
# make test     all tests, against a real Label Studio and a real browser. ARGS="-k name" picks some, LABEL_STUDIO=1.20 another release
# make endurance  the long repeats (a hundred kills, 200 labels, 100 on PostgreSQL, 10,000 events), every benchmark once, small, and drawn examples
# make check    format, lint, types, and the docker-compose file against its schema
# make bench    the figures in docs/benchmarks.md. BENCH=loop picks one of its list, ARGS="--data FOLDER" goes to each
# make lock     resolve the dependencies of pyproject.toml anew

PYTHON ?= python3
UV := .tools/uv/bin/uv
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers/.ready
COMPILED := $(VENV)/.compiled
# Versions of Label Studio that tests run beside our own.
OLDER := 1.20 1.22
OLDER_READY := $(OLDER:%=.venv-label-studio-%/.ready)

# A file is one worker's, with its own Label Studio; in the order of testpaths, so that no long one comes last.
ALL_TESTS := -n 5 --dist loadfile --no-loadscope-reorder
BENCH ?= models sync loop strategies encoders encoder_choice first_order first_labels class_names set_names near_copies large way classes sets predictions outside_pool questions pool_serving listing

# Waiting threads of torch sleep instead of spinning: beside busy neighbours that is minutes against seconds.
export OMP_WAIT_POLICY := PASSIVE

# Which Label Studio the tests start: a version of OLDER; empty: our own.
LABEL_STUDIO ?=
export ACTIVE_LEARNING_TEST_LABEL_STUDIO := $(LABEL_STUDIO)

# Each of our processes imports torch: without bytecode files it takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo ready test endurance check format lock bench clean

help:
	@sed -n 's/^# make/make/p' Makefile

$(UV): requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null || { echo "pip is missing: install python3-pip (Debian) or ensurepip"; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade \
		--target .tools/uv --require-hashes -r requirements-uv.txt
	@touch $(UV)

$(READY): $(UV) requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	UV_HTTP_TIMEOUT=300 $(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)

# The libraries that tests compare our strategies with; they never meet our own dependencies.
$(PEERS): $(UV) requirements-peers.txt
	@test -x .venv-peers/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-peers
	UV_HTTP_TIMEOUT=300 $(UV) pip sync --quiet --python .venv-peers/bin/python --require-hashes requirements-peers.txt
	@touch $(PEERS)

# An older Label Studio, in an environment of its own.
.venv-label-studio-%/.ready: $(UV) requirements-label-studio-%.txt
	@test -x .venv-label-studio-$*/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-label-studio-$*
	UV_HTTP_TIMEOUT=300 $(UV) pip sync --quiet --python .venv-label-studio-$*/bin/python --require-hashes \
		requirements-label-studio-$*.txt
	@touch $@

demo: $(READY)
	@$(BIN)/python scripts/demo.py $(ARGS)

# Every environment that tests have.
ready: $(READY) $(PEERS) $(OLDER_READY)

# What umap-learn has numba compile, which each worker of the tests would else wait for.
$(COMPILED): $(READY)
	$(BIN)/python -c \
		'import numpy as np; from ml_backend.rounds.projection import lay_out as made; made(np.eye(100), range(100), seed=0)'
	@touch $@

test: ready $(COMPILED)
	$(BIN)/python -m pytest $(or $(ARGS),$(ALL_TESTS))

endurance: $(READY) $(PEERS)
	$(BIN)/python -m pytest tests/endurance $(ARGS)
	$(BIN)/python -m pytest tests/unit tests/contract -m hypothesis --hypothesis-profile "others each time"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) $(PEERS)
	@set -e; for name in $(BENCH); do PYTHONPATH=scripts $(BIN)/python -m bench.$$name $(ARGS); done

# An older Label Studio gets the packages of requirements.txt wherever it takes them: they are downloaded once for both.
lock: $(UV)
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --output-file requirements.txt --quiet
	$(UV) pip compile --group peers --universal --python-version 3.11 --constraints requirements.txt \
		--generate-hashes --no-emit-index-url --no-header --upgrade --output-file requirements-peers.txt --quiet
	@set -e; for version in $(OLDER); do \
		cp requirements.txt requirements-label-studio-$$version.txt; \
		echo "label-studio==$$version.0" | $(UV) pip compile - --no-config --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
			--output-file requirements-label-studio-$$version.txt; done

clean:
	rm -rf $(VENV) .venv-peers $(OLDER:%=.venv-label-studio-%) .tools .demo .artifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
