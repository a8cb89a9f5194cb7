# Everything is set up by the first target that needs it; see README.md.
PYTHON ?= python3
# Test processes at a time; the engine tests spend part of their time waiting.
WORKERS ?= auto
BIN := .venv/bin

.PHONY: demo test lint format bench soak fuzz reference engine env environment lock

demo: engine
	@$(BIN)/python tools/demo.py

test: engine
	@$(PYTHON) tools/environment.py install --older-sdk
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: environment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: environment
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: engine
	@$(BIN)/python benchmarks/run.py

# Longer than the tests may take; not part of them.
soak: engine
	@$(BIN)/python -m tests.soak

fuzz: environment
	@$(BIN)/python -m tests.fuzz

# docs/reference.md, from the code.
reference: environment
	@$(BIN)/python -m tools.reference

# The Python environments, from the lock files.
environment:
	@$(PYTHON) tools/environment.py install

# The Pulumi engine: the one on PATH, or Pulumi's installer, or a build with Go.
engine: environment
	@$(BIN)/python tools/pulumi/engine.py

# eval "$$(make -s env)" prepares a shell for working by hand.
env: engine
	@$(BIN)/python tools/environment.py exports

# Newest versions that fit pyproject.toml into the lock files; needs uv.
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	--no-annotate --no-emit-index-url --no-header pyproject.toml
lock:
	$(LOCK) --group dev --output-file requirements.lock
	$(LOCK) --group sdk-3-259 --output-file requirements-sdk-3.259.lock
