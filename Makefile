# make demo     the main job from an empty store to a model and a report
# make serve    searches in the browser
# make test     the default tests
# make check    what CI runs: format, lint, types, tests
# make web      what the pages of `fxsearch serve` take from npm (needs Node.js)
# make engines  the plug-in engine that `pytest -m engine` plays exports in (needs Node.js)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := FXSEARCH_STORAGE=runs $(BIN)/fxsearch

.PHONY: demo serve test check web engines

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV)/installed
	$(RUN) render examples/quickstart/recipe.yaml --out stores/quickstart --workers 2 --overwrite
	$(RUN) launch examples/quickstart/search.yaml
	$(RUN) export quickstart --overwrite
	$(RUN) report quickstart --out runs/quickstart.html --overwrite

serve: $(VENV)/installed web
	$(RUN) serve

test: $(VENV)/installed
	$(BIN)/python -m pytest

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

web:
	npm ci --prefix web --no-audit --no-fund

engines:
	npm ci --prefix tests/engines --no-audit --no-fund
