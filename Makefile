# Two commands: `make book` builds the book from the simulated survey, `make test` runs the tests.
# Both set up .venv first; nothing but Python >= 3.11, git and make is needed.
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= small

.PHONY: book test test-slow test-real live-check data bench lint lock clean
.DEFAULT_GOAL := book

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found %s: make PYTHON=python3.12 book" % sys.version.split()[0])'
	@echo "Setting up .venv: a few minutes, several gigabytes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	@touch $@

book: .venv/.ready          ## execute the notebooks, build _build/html/index.html
	$(BIN)/python book/build.py --profile $(PROFILE)

# one thread a process; numba has a number of its own, and a map hands it on to torch
PYTEST := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
test: .venv/.ready lint     ## the tests, on up to four cores; without real data, and without those of test-slow
	$(PYTEST) -m "not slow and not real_data and not live"

test-slow: .venv/.ready     ## runs killed at any moment, several processes together, the benchmark scripts
	$(PYTEST) -m slow

test-real: .venv/.ready     ## the chapters on real galaxies: GALCLR_REAL_DATA=DIR make test-real
	$(BIN)/python -m pytest -m real_data -s

live-check: .venv/.ready    ## a few small requests to the real services of SDSS and the CDS: do they answer as we think?
	$(BIN)/python -m pytest -m live -s tests/test_live.py

# 2000 real galaxies for a tutorial: 6000 cut-outs, 120 MB, about an hour at two requests a second, and
# 41 MB of frames to know their unit. It says so itself and asks before it begins; it can be stopped.
SKY ?= data/sdss
data: .venv/.ready          ## 2000 galaxies from SDSS into data/sdss: an hour, 170 MB
	$(BIN)/python -m galclr_utils.acquire --folder $(SKY) --galaxies 2000 --region 180 200 0 5

bench: .venv/.ready         ## how fast, and why: about an hour on two quiet cores, for the book's last chapter
	$(BIN)/python -m pip install --no-deps -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/precision.py

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lock:                       ## compile requirements.in for all platforms (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --quiet requirements.in -o requirements.txt

clean:                      ## remove what runs and builds made; keeps .venv
	rm -rf runs _build
