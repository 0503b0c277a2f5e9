# SPDX-License-Identifier: Apache-2.0
# Targets are described in README.md. One configuration, release, serves them all, so that they share what they build.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD := $(CURDIR)/build
SWIFT_FLAGS := --explicit-target-dependency-import-check error
RELEASE := --configuration release $(SWIFT_FLAGS)
SOURCES := Sources Plugins Tests Package.swift

.PHONY: run build test conformance interop bench soak sanitize install format lint clean help
.DEFAULT_GOAL := help

help:
	@echo "make run       build, and serve 1 GiB of memory on 127.0.0.1:3260"
	@echo "make build     build into build/"
	@echo "make test      check the style, build, and run every test"
	@echo "make conformance  run libiscsi's suite against every kind of LUN, and write docs/conformance.md"
	@echo "make handler-sources  compile tcmu-runner's own handlers against our headers, and serve them"
	@echo "make interop   test with Ceph, an iSNS server and Linux in a virtual machine; write docs/interop.md"
	@echo "make install   copy build/ to DESTDIR PREFIX (now: $(DESTDIR)$(PREFIX))"
	@echo "make bench     measure against the floor and tgt, and write docs/performance.md; BENCH_FLAGS=--quick tries it"
	@echo "make soak      the concurrency tests, for longer"
	@echo "make sanitize  the tests under the address and thread sanitizers"
	@echo "make format    lay out the sources; make lint only checks"
	@echo "make clean     remove what was built"

run: build
	@scripts/run.sh "$(BUILD)/bin/martlet"

build:
	@scripts/install-packages.sh build
	swift build $(RELEASE)
	@scripts/assemble.sh "$$(swift build $(RELEASE) --show-bin-path)" "$(BUILD)"

# Everything is built once; the runner then only runs, and its closing line is the last.
test: lint test-programs
	handlers="$$(scripts/unpack-tcmu-runner.sh "$(BUILD)/tcmu-runner")" && MARTLET_TCMU_HANDLERS="$$handlers" \
	    swift test $(RELEASE) --skip-build --disable-xctest $(TEST_FLAGS)

# CONFORMANCE_FLAGS="--setup thin --family Read10" tries a part, and writes no document.
conformance: build
	@scripts/install-packages.sh build conformance
	scripts/conformance/run.py "$(BUILD)/bin/martlet" $(or $(CONFORMANCE_FLAGS),--document docs/conformance.md)

# A Ceph of its own, gone afterwards whatever happens. CEPH_RIG_DIR names its folder.
interop: test-programs
	@scripts/install-packages.sh interop
	@trap 'scripts/ceph-rig wipe' EXIT; \
	handlers="$$(scripts/unpack-tcmu-runner.sh "$(BUILD)/tcmu-runner")" && rig="$$(scripts/ceph-rig up)" && \
	    env MARTLET_TCMU_HANDLERS="$$handlers" "MARTLET_$$rig" \
	    swift test $(RELEASE) --skip-build --disable-xctest --filter 'Ceph|ISNSServer' $(TEST_FLAGS)
	scripts/vm-rig/interop.py "$(BUILD)/bin/martlet" $(or $(INTEROP_FLAGS),--document docs/interop.md)

soak: export MARTLET_SOAK := 1
soak: test-programs
	handlers="$$(scripts/unpack-tcmu-runner.sh "$(BUILD)/tcmu-runner")" && MARTLET_TCMU_HANDLERS="$$handlers" \
	    swift test $(RELEASE) --skip-build --disable-xctest --filter InteroperabilityTests

# tcmu-runner's own handlers, from Debian's source package, compiled unchanged against our headers and served.
.PHONY: handler-sources
handler-sources: test-programs
	@scripts/install-packages.sh sources
	source="$$(scripts/unpack-tcmu-source.sh "$(BUILD)/tcmu-source")" && MARTLET_TCMU_SOURCE="$$source" \
	    swift test $(RELEASE) --skip-build --disable-xctest --filter OriginalSourceTests

.PHONY: test-programs
test-programs:
	@scripts/install-packages.sh build test
	swift build $(RELEASE) --build-tests
	@scripts/assemble.sh "$$(swift build $(RELEASE) --show-bin-path)" "$(BUILD)"

bench: build
	@scripts/install-packages.sh build test bench
	BENCH_BUILD="$(BUILD)/bench" Benchmarks/run.sh "$(BUILD)/bin/martlet" --document $(BENCH_FLAGS)

# The sanitizers see what runs inside the test process; the programs under test stay as they are.
sanitize: test-programs
	for sanitizer in address thread; do \
	    swift test --scratch-path .build-$$sanitizer $(SWIFT_FLAGS) --sanitize $$sanitizer --disable-xctest \
	        --skip InteroperabilityTests --skip TidyTests || exit 1; \
	done

install: build
	scripts/install.sh "$(BUILD)" "$(DESTDIR)$(PREFIX)"

format:
	swift format format --in-place --parallel --recursive $(SOURCES)

lint:
	swift format lint --strict --parallel --recursive $(SOURCES)

clean:
	rm -rf .build .build-* build
