# make serve   install what is missing, fetch the models, start the agent
# make test    the same for development, then every test
# make test-isa  the tests of looks, choices and the safety lane, on this machine's instructions and again with AVX2 alone
# make lint    ruff and mypy
# make docs    the site of docs/, into build/site, with the pages that are made from the code
# make models  fetch and verify the models
# make clean   remove what make made here; the models stay in the cache
#
# PYTHON=...   the Python to use (3.11 or newer); ARGS=... goes to agent serve or to pytest.
# PROCESSES=2  how many processes share the tests; 0 runs them all in one, in the order of their names.
# The first run needs the package registry that pip is configured for; later runs need no network.

.PHONY: help serve test test-isa lint docs models clean setup setup-dev
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV ?= .venv
RUN := $(VENV)/bin/python
PYTHON ?=
ARGS ?=
PROCESSES ?= 2

help:
	@sed -n '/^$$/q;s/^# \{0,1\}//p' Makefile

serve: setup
	@$(VENV)/bin/agent models fetch
	@exec $(VENV)/bin/agent serve $(ARGS)

test: setup-dev
	@$(VENV)/bin/agent models fetch
	@$(VENV)/bin/agent models fetch --test-clips
	@$(RUN) -m pytest --numprocesses=$(PROCESSES) --dist=loadfile $(ARGS)

# What is shown or said must not turn on the last bits of a kernel, which differ between processors.
ISA_TESTS := tests/policy/test_looks.py tests/policy/test_reflex.py tests/policy/test_strategy.py tests/policy/test_head.py \
	tests/policy/test_answer.py tests/policy/test_irony.py tests/empathy/test_choice.py tests/agent/test_lane.py
AVX2 := CT2_FORCE_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2

test-isa: setup-dev
	@$(VENV)/bin/agent models fetch
	@OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=$(PROCESSES) --dist=loadfile $(ISA_TESTS) $(ARGS)
	@OMP_NUM_THREADS=1 $(AVX2) $(RUN) -m pytest --numprocesses=$(PROCESSES) --dist=loadfile $(ISA_TESTS) $(ARGS)

lint: setup-dev
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy

docs: setup-dev
	@$(RUN) tools/reference.py
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo 'open build/site/index.html'

models: setup
	@$(VENV)/bin/agent models fetch
	@$(VENV)/bin/agent models verify

clean:
	rm -rf $(VENV) build dist artefacts *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@$(call install,.,base)

setup-dev:
	@$(call install,'.[dev]' --editable clients/python,dev)

# A stamp in the environment says what was installed: the content of pyproject.toml, the place of the
# checkout, and whether with the tools of a developer, which include all that serving needs. As long as
# one fits, pip is not called. An environment whose Python is gone or too old is made anew.
define install
set -eu; \
want="$$(cat pyproject.toml clients/python/pyproject.toml | cksum) $(CURDIR)"; \
for stamp in $(VENV)/.setup-stamp-$(2) $(VENV)/.setup-stamp-dev; do \
	if [ -x $(RUN) ] && [ "$$(cat $$stamp 2>/dev/null)" = "$$want" ] && $(RUN) -c '' 2>/dev/null; then exit 0; fi; \
done; \
usable='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'; \
if ! $(RUN) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	found=''; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
		if $$candidate -c "$$usable" 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'No Python 3.11 or newer with venv was found; install one (on Debian: python3 python3-venv)' >&2; \
		echo 'or name it: make serve PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	rm -rf $(VENV); \
	$$found -m venv $(VENV); \
fi; \
rm -f $(VENV)/.setup-stamp-*; \
echo 'Installing; the first time this takes some minutes'; \
if ! $(RUN) -m pip install --disable-pip-version-check --editable $(1); then \
	echo 'pip could not install what pyproject.toml asks for: its reason is above. Mend it and run make again.' >&2; \
	exit 1; \
fi; \
echo "$$want" > $(VENV)/.setup-stamp-$(2)
endef
