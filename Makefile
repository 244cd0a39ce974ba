# `make` lists the targets. Nothing is installed outside this folder.

PYTHON ?= $(shell for p in $(CANDIDATES); do "$$p" -c '$(PROBE)' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv

CANDIDATES = python3 python3.15 python3.14 python3.13 python3.12 python3.11
PROBE = import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
CACHES = .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# What is active around us must not decide what is installed or tested in here.
unexport PYTHONHOME PYTHONPATH PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_USER VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore

# Twice as many as there are processors, because tests wait as long as they work. Whoever is done takes tests of others:
# one file can take minutes.
WORKERS ?= $(shell n=$$(( 2 * $$(nproc) )); echo $$(( n < 3 ? 3 : n > 12 ? 12 : n )))

.DEFAULT_GOAL = help
.PHONY: help demo run test torture check format bench inject soak matrix venv clean

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r target does; do printf '%-12s %s\n' "$$target" "$$does"; done

demo: $(VENV)/.installed ## show the service at work, in under a minute
	@$(VENV)/bin/python -P deploy/demo.py

run: $(VENV)/.installed ## serve in the foreground: supervisor, REST and pages on 127.0.0.1:5000
	@exec $(VENV)/bin/asyncworker serve

test: check ## all checks, then all tests (make test ARGS="-k cancel" for some)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

torture: $(VENV)/.installed-test ## kills and faults at random, judged (ARGS="--seed 7 --actions 10000 --minutes 30")
	@$(VENV)/bin/python -m tests.torture.run $(ARGS)

check: $(VENV)/.installed-test ## lint, format, types and the direction of imports
	$(VENV)/bin/ruff check -q .
	$(VENV)/bin/ruff format -q --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(VENV)/.installed-test ## put the code into the one format
	$(VENV)/bin/ruff check -q --fix-only .
	$(VENV)/bin/ruff format -q .

bench: $(VENV)/.installed ## the benchmark, with its tables and charts (make bench ARGS="drain --quick" for less)
	@$(VENV)/bin/python -m benchmarks $(ARGS)

inject: $(VENV)/.installed-test ## a fault at every system call, for hours (make inject ARGS="--scene start --every 10")
	@$(VENV)/bin/python -m tests.inject.sweep $(ARGS)

soak: $(VENV)/.installed-test ## 20,000 jobs: memory, descriptors, threads and children stay what they were
	@$(VENV)/bin/python -m tests.soak.run $(ARGS)

matrix: ## the tests on every CPython from 3.11 on that this machine has
	@tested= failed=; \
	for v in 3.11 3.12 3.13 3.14 3.15; do \
		for p in "python$$v" "$$HOME/.pyenv/versions/$$v".*/bin/python; do \
			found=$$("$$p" -c 'import ensurepip, sys; print("%s-%d.%d" % (sys.implementation.name, *sys.version_info[:2]))' 2>/dev/null); \
			[ "$$found" = "cpython-$$v" ] || continue; \
			echo "== Python $$v: $$p"; \
			tested="$$tested $$v"; \
			$(MAKE) --no-print-directory "VENV=.venv-$$v" "PYTHON=$$p" ".venv-$$v/.installed-test" \
				&& ".venv-$$v/bin/python" -m pytest -q $(ARGS) || failed="$$failed $$v"; \
			break; \
		done; \
	done; \
	echo "tested:$${tested:- none}; failed:$${failed:- none}"; \
	[ -n "$$tested" ] && [ -z "$$failed" ]

venv: $(VENV)/.installed-test ## .venv with everything that the other targets need

clean: ## remove what make has made
	rm -rf .venv .venv-3.* .venv-bench benchmarks/results build dist *.egg-info $(CACHES)
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# $(1): what to install. A .venv that was copied or moved with its folder points at the old place: make it anew.
define install
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(PROBE)' 2>/dev/null || { \
		echo "AsyncWorker needs Python 3.11 or newer with its venv module: install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name one that you have: make PYTHON=/path/to/python." >&2; exit 1; }
	@test "$$(cat $(VENV)/.installed 2>/dev/null || pwd -P)" = "$$(pwd -P)" && $(VENV)/bin/python -c 'import pip' 2>/dev/null \
		|| "$(PYTHON)" -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install -q -e '$(1)'
	@pwd -P > $(VENV)/.installed
endef

ifneq ($(shell cat $(VENV)/.installed 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.installed $(VENV)/.installed-test
endif

$(VENV)/.installed: setup.cfg pyproject.toml
	$(call install,.)

$(VENV)/.installed-test: setup.cfg pyproject.toml
	$(call install,.[test])
	@touch $@
