# `make serve` lets you talk with the agents, `make test` passes the tests; each sets up what it needs.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: serve test
serve: .venv/serve
	@$(BIN)/runner serve agents/

test: .venv/dev
	@bash tests/rig/setup.sh
	@$(BIN)/pytest

.venv/serve: .venv/pip pyproject.toml constraints.txt
	@$(INSTALL) --editable '.[serve]'
	@touch $@

.venv/dev: .venv/pip pyproject.toml constraints.txt
	@$(INSTALL) --editable '.[serve,dev]'
	@touch $@

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { echo 'venv is missing: on Debian, apt-get install python3-venv'; exit 1; }
	@touch $@
