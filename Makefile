# The same private environment as ./rlm, with the tools of requirements-dev.lock (RLM_VENV: another place).
RLM_VENV ?= $(CURDIR)/.venv
PYTHON = "$(RLM_VENV)/bin/python"
PYTEST_ARGS ?= -n 2
# the AWS emulator of test-aws and bench-aws has an environment of its own
EMULATOR_VENV ?= $(CURDIR)/.venv-ministack

# folders of tests that take their time; each list has a target of its own
PARTS = tests/finetune tests/mcp_server tests/sandbox/lambda_function tests/suites
SLOW = tests/durability $(PARTS)

.PHONY: help setup setup-ci test test-parts test-durability test-notebooks test-datasets emulator test-aws test-browser \
	ui check-ui test-inspect lint lint-infra lambda-zip types format docs check-docs examples lock wheel \
	bench bench-aws clean

help: ## What there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

setup: ## Prepare the environment
	@sh scripts/bootstrap.sh "$(RLM_VENV)" --dev

setup-ci: setup ## Prepare what all of .ci/run needs
	@sh scripts/bootstrap.sh "$(RLM_VENV)" --ci

test: setup ## Run the tests
	$(PYTHON) -m pytest $(PYTEST_ARGS) $(addprefix --ignore=,$(SLOW))

test-parts: setup ## Run the tests of parts that take a minute: suites, fine-tuning, MCP, steps on Lambda
	$(PYTHON) -m pytest $(PYTEST_ARGS) $(PARTS)

test-durability: setup ## Kill the service's processes and see that nothing is lost (a minute)
	$(PYTHON) -m pytest tests/durability

test-notebooks: setup-ci ## Run the notebooks in examples/
	$(PYTHON) -m pytest tests/notebooks

test-datasets: setup-ci ## Load what is built with the datasets library, offline
	RLM_TEST_DATASETS=1 HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(PYTHON) -m pytest tests/datasets

emulator: setup
	@sh scripts/emulator.sh "$(EMULATOR_VENV)" $(PYTHON)

test-aws: emulator ## Run the tests of the AWS profile against an emulator
	RLM_AWS_EMULATOR="$(EMULATOR_VENV)" $(PYTHON) -m pytest $(PYTEST_ARGS) tests/aws

test-browser: setup-ci ## Run the tests of the web UI in Chromium
	$(PYTHON) -m pytest tests/browser

ui: setup ## Build the web UI anew (needs Node 20)
	$(PYTHON) scripts/describe_api.py ui/build/openapi.json
	cd ui && npm ci --silent && npm run --silent types && npm run --silent build

check-ui: ui ## Fail if the committed build is not what ui/ builds
	cd ui && npm run --silent test
	@test -z "$$(git status --porcelain -- ui src/rlm_rs/ui)" || \
		{ git status --short -- ui src/rlm_rs/ui; echo "commit what \`make ui\` builds"; exit 1; }

test-inspect: ## Run a suite by Inspect, in an environment of its own
	@test -x "$(RLM_VENV)-inspect/bin/inspect" || python3 -m venv "$(RLM_VENV)-inspect"
	"$(RLM_VENV)-inspect/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/inspect/requirements.txt
	PYTHONPATH=src "$(RLM_VENV)-inspect/bin/python" -m pytest tests/inspect

lint: setup ## Check style, imports and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

lint-infra: setup-ci ## Check the template, the Dockerfile and the compose file
	"$(RLM_VENV)/bin/cfn-lint" infra/template.yaml
	"$(RLM_VENV)/bin/hadolint" Dockerfile
	$(PYTHON) scripts/check_compose.py

lambda-zip: setup ## Build the zips that AWS Lambda runs steps with, into dist/
	$(PYTHON) scripts/make_lambda_zip.py

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

bench-aws: emulator ## Count the AWS requests of an execution
	$(PYTHON) benchmarks/aws/bench.py --emulator "$(EMULATOR_VENV)"

clean: ## Remove the environment and what was built
	rm -rf "$(RLM_VENV)" "$(EMULATOR_VENV)" dist build
