# What each target does: `make help`. Everything is installed into .venv, from the committed lock and nothing else.

# The first Python of at least 3.11 that can make a virtual environment. Another one: `make up PYTHON=/path/to/python`.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
ARGS ?=
# Most tests wait for real processes, so four at once suit two cores.
TEST_PROCESSES ?= 4

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

# A stamp's name holds what was installed and where: the same again is a matter of seconds, anything else installs anew.
FINGERPRINT := $(shell { pwd; cat requirements.lock requirements.txt requirements-bench.lock pyproject.toml; } | cksum | cut -d ' ' -f 1)
RUNTIME := .venv/.runtime-$(FINGERPRINT)
DEV := .venv/.dev-$(FINGERPRINT)
SITE := .venv/.site-$(shell { pwd; find levqor-site -type f -not -path '*/node_modules/*' -not -path '*/.next/*' -not -path '*/out/*' -not -name 'next-env.d.ts' \
	-not -name '*.tsbuildinfo' 2>/dev/null | LC_ALL=C sort | xargs cat; cat requirements-node.txt; echo "$$NEXT_PUBLIC_SENTRY_DSN_FE"; } | cksum | cut -d ' ' -f 1)
BENCH := .venv/.bench-$(FINGERPRINT)
# Older releases of RQ, each in a folder of its own: the tests run workers of theirs.
RQ_VERSIONS := 1.16 2.12
OLD_RQ := .venv/.rq-$(shell { pwd; cat tests/rq_versions/*.txt 2>/dev/null; } | cksum | cut -d ' ' -f 1)

UV_COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --annotation-style line

.DEFAULT_GOAL := help
.PHONY: help up install test check bench demo drill site screenshots dashboard types lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-11s %s\n", $$1, $$2 }'

up: $(RUNTIME) dashboard ## install, then run the service until Ctrl-C (ARGS="--port 9000" for options)
	@$(PY) run.py $(ARGS)

install: $(RUNTIME) dashboard ## set up .venv alone

test: $(DEV) $(SITE) $(OLD_RQ) ## all tests (ARGS="-k name" for some)
	@$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(DEV) $(SITE) ## format, lint, types, layers, shell, spelling; the dashboard too
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m mypy .ci/wheel.py levqor-site/scripts/screenshots.py $(wildcard *.py monitors/*.py scripts/*.py)
	@for sample in samples/*/; do (cd $$sample && if ls *.py >/dev/null 2>&1; then ../../$(PY) -m mypy --config-file ../../pyproject.toml *.py; fi) || exit 1; done
	@.venv/bin/lint-imports
	@.venv/bin/shellcheck .ci/run levqor-site/build.sh $(wildcard *.sh scripts/*.sh samples/*/*.sh)
	@$(PY) -m codespell_lib
	@PATH="$(CURDIR)/.venv/bin:$$PATH"; cd levqor-site && npm run --silent typecheck && npm run --silent test

bench: $(BENCH) ## every published figure (ARGS="recorder" for some)
	@$(PY) -m bench $(ARGS)

demo: $(RUNTIME) dashboard ## a real load against a service that acts: see it scale
	@$(PY) -m levqor.cli demo $(ARGS)

drill: $(RUNTIME) ## real faults on a stack of its own: every promise kept or broken (ARGS="killworker" for one)
	@$(PY) -m levqor.cli drill $(or $(ARGS),all)

site: $(SITE) ## build the dashboard

screenshots: $(DEV) $(SITE) ## take the pictures of the docs anew, from a running demo
	@$(PY) levqor-site/scripts/screenshots.py

# The API runs without its dashboard; `make site` alone fails when it cannot be built.
dashboard: | $(RUNTIME)
	@$(MAKE) --no-print-directory site || echo "the dashboard could not be built (the lines above say why); the API runs without it" >&2

types: $(DEV) ## write the API's description and the dashboard's types made from it
	@$(PY) -m levqor.cli config openapi > levqor-site/openapi.json
	@PATH="$(CURDIR)/.venv/bin:$$PATH"; cd levqor-site && npm run --silent types

lock: $(DEV) ## resolve anew and write the lock files (ARGS="--upgrade" for newer releases)
	@$(UV_COMPILE) $(ARGS) --all-extras --group dev --output-file requirements.lock pyproject.toml requirements-build.in
	@$(UV_COMPILE) $(ARGS) --all-extras --group dev --group bench --constraints requirements.lock --output-file requirements-bench.lock pyproject.toml requirements-build.in
	@$(UV_COMPILE) $(ARGS) --output-file requirements-node.txt requirements-node.in
	@for version in $(RQ_VERSIONS); do $(UV_COMPILE) --no-deps --output-file tests/rq_versions/$$version.txt tests/rq_versions/$$version.in || exit; done
	@$(UV_COMPILE) --extra server --extra embedded --constraints requirements.lock --output-file requirements.txt pyproject.toml requirements-build.in

clean: ## remove caches and build output; .venv, data and logs stay
	@rm -rf dist build .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Levqor needs Python 3.11 or newer with venv and ensurepip (Debian: apt install python3-venv); none was found on PATH. Name one: make up PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Levqor needs Python 3.11 or newer; PYTHON=$(PYTHON) is not one." >&2; exit 2; }
	@"$(PYTHON)" -m venv .venv

$(RUNTIME): | .venv/bin/python
	@echo "installing the locked requirements into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f .venv/.runtime-* && touch $@

$(DEV): | $(RUNTIME)
	@echo "installing the locked development requirements into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@rm -f .venv/.dev-* && touch $@

$(SITE): | $(RUNTIME)
	@echo "building the dashboard (once)" >&2
	@levqor-site/build.sh "$(CURDIR)/.venv"
	@rm -f .venv/.site-* && touch $@

$(OLD_RQ): | $(DEV)
	@echo "installing the older releases of RQ that the tests run into .venv (once)" >&2
	@rm -rf $(RQ_VERSIONS:%=.venv/rq-%)
	@for version in $(RQ_VERSIONS); do \
		$(PIP) install --require-hashes --no-deps --target .venv/rq-$$version -r tests/rq_versions/$$version.txt || exit; done
	@rm -f .venv/.rq-* && touch $@

$(BENCH): | $(DEV)
	@echo "installing the benches' peers into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@rm -f .venv/.bench-* && touch $@
