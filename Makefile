# `make demo` and `make test` do all the set-up themselves; see README.md and CONTRIBUTING.md.
PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done) python3)
BIN := .venv/bin
COMPILED := $(shell grep -rl --include='*.py' '^\# cython:' src) $(shell find src -name '*.pxd')
ARGS ?=

.PHONY: setup compare demo test test-sanitized check format bench fuzz clean

setup: .venv/.built                     ## .venv with everything, lasthop compiled in place

compare: setup                          ## which link is better here, behind nginx? A minute; a page in build/
	@$(PYTHON) -m tools.debian compare
	@mkdir -p build
	@$(BIN)/lasthop compare lasthop.demo:app --path /hello --json build/compare.json --html build/compare.html $(ARGS)

demo: setup                             ## serve the example on both links, say what came back and what it cost
	@$(BIN)/python -m lasthop.demo $(ARGS)

test: setup .venv/.tests                ## what must hold before a change goes in: `make test ARGS=tests/link`
	@$(PYTHON) -m tools.debian test
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 4 -m beside $(ARGS) || [ $$? = 5 ]  # 5: ARGS names none of these
	$(BIN)/python -m pytest -m "not beside" $(ARGS) || [ $$? = 5 ]

check: setup .venv/.tests               ## everything but the tests: lint, format, types, generated pages
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m tools.settings_page --check

format: setup .venv/.tests              ## bring the sources into form, write the generated pages
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/python -m tools.settings_page

test-sanitized: setup .venv/.tests      ## the tests on a build with address and undefined-behaviour sanitizers
	tools/sanitized $(ARGS)

bench: setup                            ## lasthop and its peers, side by side (docs/how-to/benchmark.md)
	@$(PYTHON) -m tools.debian bench
	$(BIN)/python -m bench.install
	$(BIN)/python -m bench $(ARGS)

fuzz: setup .venv/.tests                ## look for trouble in the reader (tests/fuzz/README.md)
	@$(PYTHON) -m tools.debian fuzz
	$(BIN)/python tests/fuzz/run.py $(ARGS)

clean:                                  ## remove what was built
	rm -rf .venv .build build dist src/*.egg-info
	find src -name '*.so' -delete -o -name '*.c' -delete

.venv/.ready: pyproject.toml tools/prepare.py
	@$(PYTHON) -m tools.prepare
	@touch $@

.venv/.tests: .venv/.ready
	@$(PYTHON) -m tools.prepare --tests
	@touch $@

.venv/.built: .venv/.ready $(COMPILED)
	@$(PYTHON) -m tools.prepare --build
	@touch $@
