# make demo        a cluster in one process, a crash in the middle, and a table of what came of it
# make test        everything that must hold; sets up what it needs below target/
# make dist        dist/rmq-VERSION: bin/ conf/ lib/ include/, laid out as Apache's distribution
# make install     the C library, its headers, rmq.pc and the CMake package below PREFIX
# make wheel       the Python package, below target/wheels
# make node-versions  the tests of the Node package on Node 18, 22 and 24, which npm brings
# make bench       rmq and Apache RocketMQ by turns on this machine (docs/PERFORMANCE.md)
# make bless       rewrites the generated files: include/rmq.h, native.d.ts, tables of docs/
# make fuzz-smoke  a minute for each fuzz target
# make clean       removes everything that was built or installed here

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# One folder for every build, that of the Python and the Node package included.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TERM_COLOR ?= auto
TARGET := $(CARGO_TARGET_DIR)
VENV := $(TARGET)/venv
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
DIST := dist/rmq-$(VERSION)
# Steps that could not run for want of a tool add a line here.
SKIPPED := $(TARGET)/skipped

STEPS := fmt lint deny rust python node interop

.PHONY: help demo test $(STEPS) wheel node-versions dist install bench bless fuzz-smoke clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo:
	@cargo run --quiet --release -p rmq-examples --bin demo

# Each step says its name and how long it took; the first failure ends the run.
test:
	@mkdir -p $(TARGET) && : > $(SKIPPED)
	@for step in $(STEPS); do \
		began=$$SECONDS; \
		echo "==> $$step"; \
		$(MAKE) --no-print-directory $$step || { echo "==> $$step FAILED"; exit 1; }; \
		echo "==> $$step passed in $$((SECONDS - began)) s"; \
	done
	@if [ -s $(SKIPPED) ]; then echo "==> skipped:"; cat $(SKIPPED); fi
	@echo "==> all steps passed"

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --quiet --workspace --all-targets --features rmq-core/interop -- -D warnings

deny:
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --offline check bans licenses sources; \
	else \
		echo "deny: licences and sources not checked: cargo-deny is not installed" \
			| tee -a $(SKIPPED); \
	fi

# One invocation, so that everything is built once. The C library's header, its exported symbols and
# the C programs are tests of rmq-ffi; the layers and the text are one of rmq-core.
rust:
	cargo test --workspace --exclude rmq-python --exclude rmq-node --features rmq-core/cli

$(VENV)/ready: bindings/python/pyproject.toml
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --retries 10 'maturin>=1.14,<2'
	touch $@

# The tests run in a new environment that has nothing but the wheel and the test tools.
WHEELS := $(TARGET)/wheels
WHEEL_VENV := $(TARGET)/wheel-venv

python: $(VENV)/ready
	rm -rf $(WHEELS)/dev $(WHEEL_VENV)
	cd bindings/python && $(VENV)/bin/maturin build --quiet --out $(WHEELS)/dev
	python3 -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/pip install --quiet --retries 10 "$$(ls $(WHEELS)/dev/*.whl)[test]"
	cd bindings/python && $(WHEEL_VENV)/bin/pytest -q -p no:cacheprovider

wheel: $(VENV)/ready
	cd bindings/python && $(VENV)/bin/maturin build --quiet --release --strip --out $(WHEELS)
	@ls -l $(WHEELS)/*.whl

bindings/node/node_modules/.package-lock.json: bindings/node/package.json
	cd bindings/node && npm install --no-audit --no-fund
	touch $@

node: bindings/node/node_modules/.package-lock.json
	cd bindings/node && node build.mjs
	cd bindings/node && npm test

# The same tests on the other versions that the package is for, which npm brings; needs a network.
node-versions: bindings/node/node_modules/.package-lock.json
	cd bindings/node && node build.mjs
	platform=$$(node -p 'process.platform + "-" + process.arch'); \
	for version in 18 22 24; do \
		npm install --no-audit --no-fund --no-save --prefix $(TARGET)/node-$$version \
			node-$$platform@$$version; \
		$(TARGET)/node-$$version/node_modules/node-$$platform/bin/node bindings/node/test/run.mjs; \
	done

interop:
	@for tool in java mvn go; do \
		command -v $$tool >/dev/null || \
			echo "interop: the suites that need $$tool: it is not installed" | tee -a $(SKIPPED); \
	done
	bash rmq-core/tests/interop/run.sh

dist:
	cargo build --release -p rmq-core --features cli --bins
	cargo build --release -p rmq-ffi
	rm -rf $(DIST)
	mkdir -p $(DIST)/bin $(DIST)/lib $(DIST)/include
	for file in rmq-core/src/bin/mq*; do \
		name=$$(basename $$file .rs); \
		install -m 755 $(TARGET)/release/$$name $(DIST)/bin/$$name; \
	done
	cp -r conf $(DIST)/conf
	bash rmq-ffi/install.sh $(TARGET)/release $(DIST)
	strip --strip-debug $(DIST)/bin/* $(DIST)/lib/librmq.so.*.* $(DIST)/lib/librmq.a
	install -m 644 LICENSE README.md CHANGELOG.md $(DIST)/
	@echo "$(DIST): $$(cd $(DIST) && ls bin | tr '\n' ' ')"

PREFIX ?= /usr/local

install:
	cargo build --release -p rmq-ffi
	bash rmq-ffi/install.sh $(TARGET)/release $(PREFIX)

bench:
	cargo build --release -p rmq-core --features cli --bins
	cargo build --release -p rmq-benches
	$(TARGET)/release/rmq-compare $(BENCH_ARGS)

bless: bindings/node/node_modules/.package-lock.json
	RMQ_BLESS=1 cargo test --quiet -p rmq-ffi --test header
	RMQ_BLESS=1 cargo test --quiet -p rmq-core --test config
	RMQ_BLESS=1 cargo test --quiet -p rmq-core --test compatibility
	RMQ_BLESS=1 cargo test --quiet -p rmq-core --lib admin_invoke
	cd bindings/node && RMQ_BLESS=1 node build.mjs

# cargo-fuzz needs a nightly compiler; without it the same bodies run on random changes instead.
fuzz-smoke:
	@if cargo fuzz --version >/dev/null 2>&1; then \
		cd rmq-core; \
		for target in $$(cargo fuzz list); do \
			cargo +nightly fuzz run $$target -- -max_total_time=60; \
		done; \
	else \
		echo "cargo-fuzz is not installed: each body runs on 200,000 random inputs instead"; \
		RMQ_FUZZ_CASES=200000 cargo test -p rmq-core --features cli --test fuzz_smoke; \
	fi

clean:
	rm -rf $(TARGET) dist bindings/node/node_modules bindings/node/rmq.node
	rm -rf bindings/node/dist bindings/node/npm
	rm -f bindings/python/python/rmq/*.so
