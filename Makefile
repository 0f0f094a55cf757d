# make demo   measure the bundled RAM on the whole MNIST test set, and draw its glimpses
# make test   lint, types, tests
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test

demo: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/zoo eval ram_mnist --progress --picture demo/glimpses.png

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# Made when absent, brought up to date when what it is made from has changed, else reused.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[test,viz]'
	touch $@
