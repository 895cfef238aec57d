# One command for each chore; the same ones run in CI (.ci/run). `make` alone lists them.
# Needs Python 3.11 or newer (PYTHON=python3.12 picks another), make and git. No root, no GPU, no database server.

PYTHON ?= python3
BIN := .venv/bin
PROOF = $(if $(SIZE),--size $(SIZE)) $(if $(SEED),--seed $(SEED))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test lint format gates crash faults fuzz soak files conformance statement commands docs sbom audit \
	encoder viewers browser bench image playground service walks projector quickstart clean
.DEFAULT_GOAL := help

help: ## list the chores
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: .venv/.node-installed ## send a radiograph through a node (DICOM=path takes your own)
	@$(BIN)/paxnode demo $(if $(DICOM),'$(DICOM)')

test: .venv/.all-installed ## every test, doctests included, on two cores
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/.all-installed ## ruff, mypy strict, import directions
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@echo "lint: ruff, mypy and import-linter found nothing"

format: .venv/.all-installed ## let ruff format and repair what it can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

gates: .venv/.all-installed ## plant a violation of each gate in a copy of the tree and see it caught
	@$(BIN)/python tests/house/plant_violations.py

crash: .venv/.all-installed ## SIGKILL at every crash point and SIZE=200 random moments, on SQLite and PostgreSQL (SEED=n)
	@$(BIN)/python -m tests.faults.crash $(PROOF)

faults: .venv/.all-installed ## disks, databases, clocks, machines and peers that fail (root; SIZE=percent, SEED=n)
	@$(BIN)/python -m tests.faults.all $(PROOF)

fuzz: .venv/.all-installed ## SIZE=20000 mutated objects through listener and pipeline (DICOM=folder of seeds, SEED=n)
	@$(BIN)/python -m tests.faults.fuzz $(PROOF) $(if $(DICOM),--folder '$(DICOM)')

soak: .venv/.all-installed ## taking in beside Orthanc and storescp, then SIZE=10000 images queued and worked off
	@$(BIN)/python -m tests.faults.soak $(PROOF)

files: .venv/.all-installed ## send every file of a folder to a node and tell what became of each (DICOM=folder)
	@$(BIN)/python tests/end_to_end/send_files.py --own-uids $(DICOM)

conformance: .venv/.all-installed ## every profile on every kind of source, looked at by dciodvfy and others (DICOM=folder)
	@$(BIN)/python -m tests.end_to_end.conformance_proof $(DICOM)

statement: .venv/.all-installed ## write docs/conformance_statement.md anew from the code
	@$(BIN)/python -m tests.house.conformance_statement

commands: .venv/.all-installed ## write docs/commands.md anew from the programs
	@$(BIN)/python -m tests.house.command_reference

docs: .venv/.node-installed ## build the documentation as a site in site/; a broken link or anchor fails it
	@$(INSTALL) --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "docs: site/index.html"

sbom: .venv/.all-installed ## write a CycloneDX bill of materials of the installed node, and tell the licences
	@$(BIN)/python -m tests.house.sbom out/sbom.json
	@$(BIN)/python -m tests.house.sbom --licences > out/licences.txt

audit: .venv/.all-installed ## ask OSV for known vulnerabilities of the dependencies; without an answer it fails and says so
	@$(BIN)/python -m tests.house.sbom --vulnerabilities

encoder: .venv/.all-installed ## our Segmentation writer beside highdicom's: time, memory, bytes
	@$(BIN)/python -m tests.benchmarks.run_bench --part encoder

viewers: .venv/.all-installed ## see the results of every profile in OHIF and AMI over Orthanc, pixel by pixel (DICOM=path adds yours)
	@$(INSTALL) --editable '.[dev,training,viewers]'
	@$(BIN)/python -m tests.viewers.run_viewers $(if $(DICOM),'$(DICOM)')

browser: .venv/.all-installed ## drive the console in Chromium and fuzz its API (apt: chromium; SIZE=requests an operation, SEED=n)
	@$(INSTALL) --editable '.[dev,training,browser]'
	@$(BIN)/python -m tests.browser.run_browser $(PROOF)

bench: .venv/.all-installed ## how fast everything is, beside its peers (PART='image queue'; SHARE=0.02: do all parts work)
	@$(BIN)/python -m tests.benchmarks.run_bench $(addprefix --part ,$(PART)) $(if $(SHARE),--share $(SHARE))

image: .venv/.all-installed ## the Dockerfile built on a clean Debian by Podman, and run (root; CUDA=1 takes the other target, too)
	@$(BIN)/python -m tests.deployment.image $(if $(CUDA),--cuda)

playground: .venv/.all-installed ## what docker-compose.yml describes, with this machine's Orthanc, nginx and npm (root)
	@$(BIN)/python -m tests.deployment.playground

service: .venv/.all-installed ## the units under a systemd of their own, installed there without a network (root)
	@$(BIN)/python -m tests.deployment.service

walks: .venv/.all-installed ## run the command blocks of the documentation as a reader would (root; PAGE=training,tutorial)
	@$(BIN)/python -m tests.walks.run_walks $(if $(PAGE),--page $(PAGE))

projector: .venv/.all-installed ## the projector beside a NumPy sum (CASE=folder, DIFFDRR=python with diffdrr)
	@$(BIN)/python -m tests.benchmarks.projector $(if $(CASE),--case '$(CASE)') $(if $(DIFFDRR),--diffdrr-python '$(DIFFDRR)')

quickstart: .venv/.all-installed ## phantoms to an evaluated model bundle, minutes on a CPU
	@$(BIN)/paxnode-train quickstart --out out/quickstart

clean: ## remove what the chores made, .venv included
	@rm -rf .venv build demo out site *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"paxnode needs Python 3.11 or newer, this is %d.%d: make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@echo "creating .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.node-installed: pyproject.toml | .venv/.created
	@echo "installing the node (about 500 MB, once)"
	@$(INSTALL) --editable .
	@touch $@

.venv/.all-installed: pyproject.toml | .venv/.created
	@echo "installing the node, its training pipeline and the developers' tools (about 2 GB with torch, once)"
	@$(INSTALL) --editable '.[dev,training]'
	@touch $@ .venv/.node-installed
