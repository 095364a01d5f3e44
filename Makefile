# Every target installs the packages that it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PARALLEL ?= --numprocesses 2 --dist loadfile

.PHONY: help setup demo test coverage test-rabbitmq4 bench lint types check hooks lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /  make \1\t/' | expand -t 24

setup: $(READY) ## make .venv with everything in requirements.lock, and Deedbox itself

$(READY): requirements.lock pyproject.toml
	@echo "setup: $(VENV), with the versions and hashes of requirements.lock"
	@PYTHON=$(PYTHON) VENV=$(VENV) sh scripts/setup.sh
	@touch $@

demo: $(READY) ## archive 20,000 notifications, kill the service in the middle, recover, verify, search
	@$(BIN)/deedbox demo

test: $(READY) ## all tests, against a real broker that they start themselves
	@$(BIN)/python -m tests.support.packages test
	@$(BIN)/python -m pytest $(PARALLEL) $(OPTIONS)

coverage: $(READY) ## all tests, and the lines and branches that they do not reach; fails under 95 %
	@$(BIN)/python -m tests.support.packages test
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(OPTIONS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-rabbitmq4: $(READY) ## the tests that use a broker, on RabbitMQ 4; if the machine has an older one, from Debian 13 in a chroot
	@$(BIN)/python -m tests.support.packages test rabbitmq4
	@sh scripts/rabbitmq4.sh $(BIN)/python -m pytest -m broker $(OPTIONS)

bench: $(READY) ## compare the speed with a C program and with other clients, in a few minutes
	@$(BIN)/python -m tests.support.packages test bench
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --group bench
	@$(BIN)/python -m tests.bench

lint: $(READY) ## style
	@$(BIN)/ruff check && $(BIN)/ruff format --check

types: $(READY) ## types
	@$(BIN)/mypy

check: lint types coverage ## everything that .ci/run runs

hooks: $(READY) ## run lint, types and the quick tests before each commit
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --group hooks
	@$(BIN)/pre-commit install

lock: $(READY) ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock

clean: ## remove what the other targets made
	@rm -rf --one-file-system $(VENV) .rabbitmq4* .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
