# Two commands from a bare clone: `make evaluate` and `make test`. The environment is made on first use.
PYTHON ?= python3
BIN := .venv/bin

# One thread: on networks of this size two are 10 to 40 times slower.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: evaluate test benchmark clean

evaluate: .venv/installed
	$(BIN)/python -m pytest evaluations/ -n 2 --tb=short -rfE --attrlab-html report.html --attrlab-json report.json

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/ -n 2

benchmark: .venv/installed
	$(BIN)/python tests/benchmarks/engine.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[test]"
	touch .venv/installed

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis report.html report.json
