# The same private environment as ./rlm, with the tools of requirements-dev.lock (RLM_VENV: another place).
RLM_VENV ?= $(CURDIR)/.venv
PYTHON = "$(RLM_VENV)/bin/python"
PYTEST_ARGS ?= -n 2
# folders of tests that take their time, each with a target of its own
SLOW = tests/durability

.PHONY: help setup setup-ci test test-durability test-inspect lint types format docs check-docs examples lock wheel bench clean

help: ## What there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## Prepare the environment
	@sh scripts/bootstrap.sh "$(RLM_VENV)" --dev

setup-ci: setup ## Prepare what all of .ci/run needs
	@sh scripts/bootstrap.sh "$(RLM_VENV)" --ci

test: setup ## Run the tests
	$(PYTHON) -m pytest $(PYTEST_ARGS) $(addprefix --ignore=,$(SLOW))

test-durability: setup ## Kill the service's processes and see that nothing is lost (a minute)
	$(PYTHON) -m pytest tests/durability

test-inspect: ## Run a suite by Inspect, in an environment of its own
	@test -x "$(RLM_VENV)-inspect/bin/inspect" || python3 -m venv "$(RLM_VENV)-inspect"
	"$(RLM_VENV)-inspect/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/inspect/requirements.txt
	PYTHONPATH=src "$(RLM_VENV)-inspect/bin/python" -m pytest tests/inspect

lint: setup ## Check style, imports and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: setup ## Check types
	$(PYTHON) -m mypy

format: setup ## Format and sort imports
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs: setup ## Write the generated pages anew
	$(PYTHON) scripts/make_docs.py

check-docs: setup ## Fail if a generated page is out of date
	$(PYTHON) scripts/make_docs.py --check

examples: setup ## Write the example corpus anew
	$(PYTHON) examples/make_corpus.py

lock: setup ## Resolve the dependencies anew
	$(PYTHON) scripts/make_lock.py

wheel: setup ## Build the wheel into dist/
	$(PYTHON) -m build --wheel --no-isolation --outdir dist

bench: setup ## Measure time and memory of rlm ask
	$(PYTHON) benchmarks/ask/bench.py

clean: ## Remove the environment and what was built
	rm -rf "$(RLM_VENV)" dist build
