# The project's tasks. `make` lists them; each is one line that can be typed without make.
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests day test check simulate config openapi fmt lock sbom hostile perf clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## .venv with the locked packages: enough to run
	.ci/setup

setup-tests:  ## the same, and all that the tests need
	.ci/setup --tests

day: setup  ## an operator's day, generated and decided
	.venv/bin/opportune feed --to files var/inbox && .venv/bin/opportune run --drain

test: setup-tests  ## the whole test run, as CI does it
	.ci/run

check:  ## what can be judged without running: lint, types, fences
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

fmt:  ## lint fixes and one format
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .

simulate:  ## 300 seeded worlds with crashes and faults; another number by SEEDS=1000
	.venv/bin/opportune simulate --seeds $(or $(SEEDS),300)

config:  ## the comments of config.toml, from the settings' descriptions
	.venv/bin/python -m engine.settings.text config.toml

openapi:  ## engine/serve/openapi.json and HTTP.md, from the table of paths
	.venv/bin/python -m engine.serve.openapi

lock:  ## the requirements files, from pyproject.toml: to run, to build, for tests
	.venv/bin/uv pip compile pyproject.toml --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements.txt
	.venv/bin/uv pip compile --python-version 3.11 --group build --constraint requirements.txt --generate-hashes --no-header --no-annotate --quiet --output-file requirements-build.txt
	.venv/bin/uv pip compile pyproject.toml --python-version 3.11 --group build --group dev --constraint requirements.txt --constraint requirements-build.txt --generate-hashes --no-header --no-annotate --quiet --output-file requirements-dev.txt

sbom:  ## what the product is shipped with: CycloneDX 1.5 of the run-time lock, to var/sbom.json
	mkdir -p var && .venv/bin/python .ci/sbom requirements.txt > var/sbom.json

hostile:  ## 10,000,000 hostile records to a live engine and two live workers; another number by RECORDS=100000
	.venv/bin/python -m tests.hostile.flood --records $(or $(RECORDS),10000000)

perf:  ## the benchmarks, one question each
	for bench in perf/bench_*.py; do .venv/bin/python -m perf.$$(basename $$bench .py) || exit 1; done

clean:  ## what runs leave behind: data, caches (not .venv)
	rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
