# SPDX-License-Identifier: BSD-2-Clause
# The short front door to meson and the scripts. `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
INSTALL_DEPS ?= scripts/install-deps

# A hiredis that scripts/install-deps had to build is found before the system's.
export PKG_CONFIG_PATH := $(CURDIR)/.deps/lib/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))

.DEFAULT_GOAL := all
.PHONY: all build-deps test-deps test check demo run bench install package fuzz format clean help

all: build-deps ## build the daemon and the command: build/pcapdaemon, build/pcapctl
	[ -e build/build.ninja ] || /usr/bin/meson setup build
	ninja -C build product tests/probes/send_packets

build-deps:
	$(INSTALL_DEPS) build
test-deps:
	$(INSTALL_DEPS) build test

test: test-deps ## install what the tests need, run them all
	tests/run

check: test-deps ## static checks only
	scripts/check

demo: all ## the main job end to end, shown; then alerts, and a fleet
	$(INSTALL_DEPS) demo
	scripts/demo
	scripts/demo-fleet

run: all ## start the daemon in the foreground
	$(INSTALL_DEPS) demo
	scripts/run

bench: all ## measure against tcpdump
	$(INSTALL_DEPS) bench
	bench/run

install: all ## install below DESTDIR and PREFIX (/usr/local)
	/usr/bin/meson configure build -Dprefix=$(PREFIX)
	ninja -C build product
	/usr/bin/meson install -C build --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

package: all ## a Debian package in build/
	$(INSTALL_DEPS) package
	scripts/package

fuzz: test-deps ## fuzz each target for SECONDS (60)
	scripts/fuzz $(SECONDS)

format: ## clang-format all sources
	git ls-files -co --exclude-standard '*.c' '*.h' '*.cpp' | xargs clang-format -i

clean: ## remove what was built (not .deps)
	rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
