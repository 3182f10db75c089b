# What people and CI do with this repository, by name; `make help` lists it. Needs make and Python >= 3.11.
#
# Everything is installed into .venv from requirements/*.txt, where each file is pinned by its hash. pip installs uv,
# and uv the rest: with empty caches that takes a quarter of the time that pip alone takes.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
DOCUMENTATION := .documentation
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
# --compile-bytecode: the first start is as fast as the second.
INSTALL := $(RUN) uv pip install --quiet --compile-bytecode --python $(BIN)/python
CHECKED := src tests examples tools deploy

# Container images like to forbid compiled files. Here a process is started every second or so while tests run, and each
# would compile all of Gatepost again.
unexport PYTHONDONTWRITEBYTECODE

# A data directory inside the checkout, unless the environment or .env names another.
ifeq ($(shell grep -s '^ *\(export  *\)\{0,1\}OAUTH_STORAGE_DIR *=' .env),)
OAUTH_STORAGE_DIR ?= .gatepost
export OAUTH_STORAGE_DIR
endif

# CI measures coverage in the one run of the tests that it makes, and says at its end what took long.
ifeq ($(CI),true)
PYTEST := $(RUN) coverage run -m pytest --durations 40 --durations-min 4
else
PYTEST := $(RUN) pytest
endif

# All the tests together are shared out among the processor's cores, file by file, in the order of the folders. What ARGS
# choose runs in one process, which starts sooner. A process that dies is a failure, and is not replaced.
ifeq ($(strip $(ARGS)),)
SHARED_OUT := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
endif

.PHONY: help
help: ## list what can be done
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

# --- use

.PHONY: serve
serve: $(VENV)/.runtime ## serve examples/notes.py on 127.0.0.1:8000, data in ./.gatepost
	@$(RUN) gatepost serve examples/notes.py:server $(ARGS)

# --- check

.PHONY: test
test: $(VENV)/.development ## run the tests; ARGS="-k refresh" goes to pytest
	@rm -f .coverage .coverage.*
	$(PYTEST) $(SHARED_OUT) $(ARGS)

.PHONY: check
check: static coverage ## every gate that CI runs

.PHONY: static
static: format-check lint types imports lengths lock-check ## every gate but the tests

.PHONY: format
format: $(VENV)/.development ## format the code and mend what can be mended
	$(RUN) ruff check --fix-only --quiet $(CHECKED)
	$(RUN) ruff format $(CHECKED)

.PHONY: format-check
format-check: $(VENV)/.development
	$(RUN) ruff format --check $(CHECKED)

.PHONY: lint
lint: $(VENV)/.development ## ruff
	$(RUN) ruff check $(CHECKED)

.PHONY: types
types: $(VENV)/.development ## mypy, strict
	$(RUN) mypy

.PHONY: imports
imports: $(VENV)/.development ## layers and purity (.importlinter)
	$(BIN)/lint-imports --no-logo

.PHONY: lengths
lengths: $(VENV)/.development ## no file above 400 lines, no function above 60
	$(BIN)/python tools/length_gate.py src tools examples

.PHONY: lock-check
lock-check: $(VENV)/.development ## requirements/*.txt say what pyproject.toml says
	$(BIN)/python tools/lock_gate.py

.PHONY: coverage
coverage: $(VENV)/.development ## run the tests and demand 95 % of the branches
	@rm -f .coverage .coverage.*
	$(RUN) coverage run -m pytest $(SHARED_OUT) $(ARGS)
	@$(MAKE) --no-print-directory coverage-report

.PHONY: coverage-report
coverage-report:
	$(RUN) coverage combine --quiet
	$(RUN) coverage report

.PHONY: benchmark
benchmark: $(VENV)/.runtime ## measure beside the peers (needs wrk); ARGS="--only modern --seconds 1"; --help lists all
	@$(RUN) benchmarks $(ARGS)

.PHONY: conformance
conformance: $(VENV)/.development ## run the official MCP conformance suite (npm packages by hash); ARGS="--only 2026-07-28"
	@$(RUN) tools.conformance.run $(ARGS)

.PHONY: clients
clients: $(VENV)/.development ## run codex, Claude Code, opencode and others (npm, by hash) and write docs/clients.md; Linux
	@$(RUN) tools.clients.run $(ARGS)

.PHONY: proxies
proxies: $(VENV)/.development ## put nginx, HAProxy, Apache, Caddy, Varnish and Squid in front and write docs/proxies.md
	@$(RUN) tools.proxies.run $(ARGS)

.PHONY: image-steps
image-steps: $(VENV)/.development ## execute the Dockerfiles' steps in a root by debootstrap and write docs/deploy/containers.md; Linux, root
	@$(RUN) tools.image.run $(ARGS)

.PHONY: newcomer
newcomer: $(VENV)/.development ## begin on a clean machine by debootstrap, with times, and write docs/newcomer.md; Linux, root
	@$(RUN) tools.newcomer.run $(ARGS)

.PHONY: walk
walk: $(VENV)/.development ## walk the README in a fresh clone, from make serve to a public URL, and write docs/walk.md; nginx
	@$(RUN) tools.walk.run $(ARGS)

.PHONY: torture
torture: $(VENV)/.development ## break servers and databases under load and write docs/reliability.md; ARGS="--seconds 60"
	@$(RUN) tools.torture.run $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.development ## change the rules and see whether a test notices; ARGS="--only tokens/ --sample 0"
	@$(RUN) tools.mutants.run $(ARGS)

.PHONY: translations
translations: $(VENV)/.development ## bring the languages of the pages in step with their texts; ARGS=fr begins another
	@$(RUN) tools.translations $(ARGS)

.PHONY: docs
docs: $(DOCUMENTATION)/.installed ## build the documentation site, strictly: test-artifacts/documentation/site/index.html
	@PYTHONPATH=src $(DOCUMENTATION)/bin/python -m tools.documentation.build

.PHONY: docs-look
docs-look: docs $(VENV)/.development ## build the site and look at it in Chromium: pictures, axe-core, search
	@$(RUN) tools.documentation.look

.PHONY: pictures
pictures: $(VENV)/.development ## take the pictures of pages in docs/images anew (Chromium)
	$(RUN) pytest -q tests/end_to_end/test_pictures_for_docs.py
	@cp test-artifacts/docs/*.png docs/images/

# --- the package

.PHONY: dist
dist: $(VENV)/.development ## build wheel and source distribution into dist/, and check both
	@rm -rf dist
	$(RUN) uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .
	@rm -f dist/.gitignore
	$(RUN) twine check --strict dist/*
	$(RUN) check_wheel_contents dist/*.whl

# --- dependencies

# Neither the machine's own indexes nor its download addresses may reach the files.
COMPILE := env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS $(RUN) uv pip compile --quiet \
	--no-config --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(UPGRADE)

.PHONY: lock
lock: $(VENV)/.uv ## bring requirements/*.txt in step with pyproject.toml; versions stay where they can
	$(COMPILE) pyproject.toml -o requirements/runtime.txt >/dev/null
	$(COMPILE) pyproject.toml --group development -c requirements/runtime.txt -o requirements/development.txt >/dev/null
	$(COMPILE) pyproject.toml --group documentation -c requirements/runtime.txt -o requirements/documentation.txt >/dev/null
	$(COMPILE) pyproject.toml --extra postgres --extra otel -c requirements/development.txt \
		-o requirements/image.txt >/dev/null
	$(COMPILE) --group build -c requirements/development.txt -o requirements/build.txt >/dev/null
	$(COMPILE) pyproject.toml --all-extras --resolution lowest-direct -o requirements/lowest.txt >/dev/null

.PHONY: upgrade
upgrade: ## the same, with the newest versions
	@$(MAKE) --no-print-directory lock UPGRADE=--upgrade

.PHONY: clean
clean: ## remove the environment, caches and reports; data stays
	rm -rf $(VENV) $(DOCUMENTATION) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf test-artifacts dist

# --- the environment, one stamp per step

$(BIN)/python:
	@sh tools/make-venv $(VENV)

$(VENV)/.uv: requirements/build.txt $(BIN)/python
	@echo "Installing uv, then the rest: about a minute, once"
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(VENV)/.uv
	@echo "Installing Gatepost and what it runs on"
	@$(INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: requirements/development.txt $(VENV)/.runtime
	@echo "Installing the development tools"
	@$(INSTALL) --require-hashes -r requirements/development.txt
	@touch $@

# Sphinx and what it needs would be a third of the environment that tests run in, and docutils is another's there.
$(DOCUMENTATION)/.installed: requirements/documentation.txt $(VENV)/.uv
	@echo "Installing what the documentation site is built with"
	@sh tools/make-venv $(DOCUMENTATION)
	@$(RUN) uv pip install --quiet --compile-bytecode --python $(DOCUMENTATION)/bin/python --require-hashes -r $<
	@touch $@
