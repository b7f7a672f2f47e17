# Every target sets up what it needs, in .venv; nothing outside this folder is changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest
VLLM := $(BIN)/python -m scripts.vllm_server
# The port that the profile smollm2-135m-8k expects.
VLLM_PORT := 8000
WITH_LLM := $(filter-out 0,$(LLM))

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

.PHONY: help setup data demo test test-unit test-contract test-integration test-vllm vllm vllm-stop \
  prove-fit prove-fit-small prove-routing prove-ingest prove-ingest-small bench-fit bench-chunk bench-embed bench-ingest \
  bench-retrieval bench-search bench-splitters compare-windows \
  clients fuzz-http factbook format format-check lint types structure check docs docs-check constraints clean

## help: Print the targets, one sentence each.
help:
	@awk -F': ' '/^## / { sub(/^## /, ""); printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## demo: Ask questions of the World Factbook and see what fitted the window, with no key and no GPU.
## demo LLM=1: The same, answered by a small language model on this machine.
demo: $(VENV)/.all $(if $(WITH_LLM),$(VENV)/.local)
	@$(BIN)/python -m scripts.fetch_data factbook embedder
	$(if $(WITH_LLM),@$(BIN)/python -m scripts.local_model fetch)
	@$(BIN)/python -m scripts.demo $(if $(WITH_LLM),--llm)

## test: Run all tests but those that need vLLM or a language model; the ones against a real Qdrant server are included.
# Two at a time: many tests wait for servers and processes. A file's tests stay together, as some share a store.
test: setup data
	$(PYTEST) -n 2 --dist loadfile -m "not vllm and not llm"

## test-unit: Run the tests that touch no network and no server.
test-unit: setup
	$(PYTEST) tests/unit -m "not vllm and not llm"

## test-contract: Run each plug-point's tests against its fake and every real implementation.
test-contract: setup data
	$(PYTEST) tests/contract -m "not vllm"

## test-integration: Run the tests against real servers, vLLM apart.
test-integration: setup data
	$(PYTEST) tests/integration -m "not vllm"

## test-vllm: Run the tests against a real vLLM server, which is installed and started if need be.
test-vllm: setup data
	@$(VLLM) status >/dev/null 2>&1 || trap '$(VLLM) stop' EXIT; \
	  WINDOWFIT_TEST_VLLM_URL=$$($(VLLM) start | tail -n 1) $(PYTEST) -m vllm

## vllm: Start a real vLLM server with a small model on this machine.
vllm: setup
	$(VLLM) start --port $(VLLM_PORT)

## vllm-stop: Stop that server.
vllm-stop: setup
	$(VLLM) stop

## prove-fit: Prove that prompts fit exactly, and write docs/proof-fit.md; an hour, kept results are reused.
prove-fit: setup factbook $(VENV)/.local
	$(VLLM) prepare
	@$(BIN)/python -m scripts.local_model fetch
	@$(BIN)/python -m scripts.prove

## prove-fit-small: The parts that need no server, with fewer cases.
prove-fit-small: setup
	$(BIN)/python -m scripts.prove.laws --count 5000
	$(BIN)/python -m scripts.prove.cuts --cuts 50 --honest 200
	$(BIN)/python -m scripts.prove.fuzz --count 300 --family mistral:v1 mistral:v2 mistral:v3 \
	  mistral:tekken

## prove-routing: Prove by 10,000 random requests and failures that restricted text reaches no cloud.
prove-routing: setup
	@$(BIN)/python -m scripts.prove.routing

## prove-ingest: Prove that ingestion loses and doubles nothing, and write docs/proof-ingest.md; kept results are reused.
prove-ingest: setup data
	@$(BIN)/python -m scripts.prove_ingest

## prove-ingest-small: The same with fewer kills, reads, failures and megabytes.
prove-ingest-small: setup
	$(BIN)/python -m scripts.prove_ingest.kills --kills 50 --documents 12
	$(BIN)/python -m scripts.prove_ingest.reads --reads 2000
	$(BIN)/python -m scripts.prove_ingest.failures --documents 30
	$(BIN)/python -m scripts.prove_ingest.rebuilds --documents 3 --engine edge
	$(BIN)/python -m scripts.prove_ingest.restarts --restarts 3
	$(BIN)/python -m scripts.prove_ingest.disk --offsets 10
	$(BIN)/python -m scripts.prove_ingest.torture --megabytes 64
	$(BIN)/python -m scripts.prove_ingest.memory --megabytes 30

## bench-fit: Measure how fast prompts are planned, as ratios in one run.
bench-fit: setup factbook
	$(BIN)/python -m scripts.prove.speed

## bench-chunk: Measure how fast documents are chunked, against plain tokenization and five libraries.
bench-chunk: setup data
	@$(BIN)/python -m scripts.bench_chunk

## bench-splitters: Measure what questions find in chunks of ours, of LangChain's and of LlamaIndex's splitter.
bench-splitters: setup data
	@$(BIN)/python -m scripts.bench_retrieval_chunks

## bench-ingest: Measure ingestion end to end, against the model alone and LlamaIndex's pipeline.
bench-ingest: setup data
	@$(BIN)/python -m scripts.bench_ingest

## bench-retrieval: Measure retrieval side by side with LlamaIndex, Haystack, LangChain and txtai.
bench-retrieval: setup factbook
	@$(BIN)/python -m scripts.bench_retrieval --collection factbook

## bench-search: Measure searches of 10,000 and 1,000,000 chunks against the model and one raw query.
bench-search: setup data
	@$(BIN)/python -m scripts.bench_search

## compare-windows: Compare retrieval in 8,192 tokens with whole documents in 32,768 on a real vLLM; takes hours.
compare-windows: setup data
	@$(BIN)/python -m scripts.vllm_server prepare --model qwen
	@$(BIN)/python -m scripts.compare_windows

# Sets nothing up: it runs on a machine with a GPU, torch and sentence-transformers, and nothing else.
## bench-embed: Measure how fast texts become vectors, against the model alone over the same batches.
bench-embed:
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m scripts.bench_embed \
	  $(if $(wildcard .cache/factbook),--factbook .cache/factbook)

## clients: Try unmodified OpenAI clients against the service.
clients: setup
	$(BIN)/python -m scripts.conformance

## fuzz-http: Send the service 10,000 requests drawn from its OpenAPI document.
fuzz-http: setup
	$(BIN)/python -m scripts.prove.schema_fuzz

# The complete World Factbook, ingested; unchanged documents cost nothing.
factbook: setup data
	$(BIN)/windowfit ingest run factbook --collection factbook --quiet

## format: Rewrite the code in the project's format.
format: setup
	$(BIN)/ruff format .

## format-check: Fail where the code is not in the project's format.
format-check: setup
	$(BIN)/ruff format --check .

## lint: Fail where the linter finds fault.
lint: setup
	$(BIN)/ruff check .

## types: Check the types, strictly.
types: setup
	$(BIN)/mypy --strict

## structure: Check the direction of imports, the sizes, the names and the error tree.
structure: setup
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.check_structure

## check: Run format-check, lint, types and structure.
check: format-check lint types structure

## docs: Write the generated pages of docs anew.
docs: setup
	$(BIN)/python -m scripts.check_docs --write

## docs-check: Run the code of the documentation, follow its links, compare its generated pages.
docs-check: setup data
	$(BIN)/python -m scripts.check_docs

## constraints: Resolve the newest allowed versions into constraints.txt.
constraints: | $(BIN)/python
	rm -rf .cache/constraints
	$(PYTHON) -m venv .cache/constraints
	.cache/constraints/bin/python -m pip install --quiet --quiet -e '.[dev,local,personal]'
	{ grep '^#' constraints.txt; .cache/constraints/bin/python -m pip freeze --exclude-editable \
	  | grep -E '^[A-Za-z0-9_.-]+==' | sed -E 's/\+.*$$//'; } > constraints.new
	mv constraints.new constraints.txt
	rm -rf .cache/constraints

## clean: Remove the environment and what tools left; data, models and indexes stay.
clean:
	rm -rf $(VENV) build dist *.egg-info constraints.new .cache/constraints
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.cache/*' -prune -exec rm -rf {} +

## setup: Install everything that developers and tests need.
setup: $(VENV)/.dev

## data: Fetch the World Factbook and the embedder's weights, checked by hash.
data: | $(BIN)/python
	@$(BIN)/python -m scripts.fetch_data

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Windowfit needs Python 3.11 or later, $(PYTHON) is older or missing:" \
	    "name another one, as in make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Windowfit into $(VENV): some minutes the first time."
	@$(INSTALL) -e '.[all]'
	@touch $@

# Everything a user has is among what a developer has, so this serves the demo too.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Windowfit and its tools into $(VENV): some minutes the first time."
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.all $@

$(VENV)/.local: pyproject.toml constraints.txt | $(BIN)/python $(VENV)/.all
	@$(INSTALL) -e '.[local]'
	@touch $@
