# make demo     measure the bundled RAM on the whole MNIST test set, and draw its glimpses
# make test     lint, types, tests
# make tables   write the tables of README.md and docs/
# make docs     build the site into build/site/html
# make mutants  change the code a little, many times, and show what no test notices
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test tables docs mutants

demo: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/zoo eval ram_mnist --progress --picture demo/glimpses.png

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow and not gpu and not network'

tables: $(READY)
	$(BIN)/python docs/generate.py

docs: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python docs/build_site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

mutants: $(READY)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[mutants]'
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m mutmut run $(MUTANTS)
	$(BIN)/python -m mutmut results

# Made when absent, brought up to date when what it is made from has changed, else reused.
$(READY): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint $(CONSTRAINTS) --editable '.[test,viz,hosts,export,train,docs]'
	touch $@
