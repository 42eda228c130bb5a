# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
#
# A thin front over meson and ninja: `make help` says what there is.

BUILD  ?= build
GUEST  ?= uml
TIME   ?= 60
SEED   ?=
CYCLES ?= 100000
T      ?=
F      ?= $$(git ls-files -co --exclude-standard -- '*.c' '*.h')
DESTDIR ?=
PREFIX ?= /usr/local

# Levels 0 to 5; `make check T=unit/fixed` runs only programs whose LEVEL/NAME has that word.
LEVELS = lint unit model sim fuzz guard system
TAP_SUM = tools/tap-sum $(if $(T),-k '$(T)')

all: setup-build
	@scripts/setup-build $(BUILD)

# On a fresh machine the first make installs what is missing (as root), or says the one command.
setup-build:
	@scripts/bootstrap.sh build
setup-run:
	@scripts/bootstrap.sh build run $(if $(filter qemu,$(GUEST)),test)
setup-check:
	@scripts/bootstrap.sh build run test lint
setup-clang:
	@scripts/bootstrap.sh build run test lint clang

# --- programs for people ---

demo: setup-run
	@scripts/setup-build $(BUILD)
	@TQ_BUILD_DIR=$(abspath $(BUILD)) GUEST=$(GUEST) scripts/demo --guest $(GUEST)

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

# --- checks ---

check: setup-check build-check
	@$(TAP_SUM) --build $(BUILD)/check --lint-build $(BUILD)/bench --bench-build $(BUILD)/bench \
		$(LEVELS)

# The tests run with assertions.  Lint looks at what ships, which has none: the same flags as the
# default build, and the guard's programs beside it.
build-check: setup-check
	@scripts/setup-build $(BUILD)/check -Dasserts=true -Dwerror=true
	@scripts/setup-build $(BUILD)/bench -Dbench=true

# Also clang, the sanitizers, and system tests that say `# full: yes`.  One failure hides no other.
check-full: setup-clang build-check
	@CC=clang-14 scripts/setup-build $(BUILD)/clang -Dasserts=true -Dwerror=true
	@code=0; \
	$(TAP_SUM) --full --build $(BUILD)/check --lint-build $(BUILD)/bench \
		--bench-build $(BUILD)/bench $(LEVELS) || code=1; \
	echo 'clang:'; $(TAP_SUM) --build $(BUILD)/clang unit model sim fuzz || code=1; \
	for s in asan ubsan; do echo "$$s:"; $(MAKE) --no-print-directory $$s || code=1; done; \
	exit $$code

lint: setup-check
	@scripts/setup-build $(BUILD)
	@$(TAP_SUM) --build $(BUILD) lint

# wrap-comments first: clang-format leaves comments alone (.clang-format says why).
format: setup-check
	@for f in $(F); do case $$f in *.[ch]) ;; \
		*) echo "make format: $$f is not C, and F= takes nothing else" >&2; exit 2 ;; esac; done
	@ls -d $(F) | xargs -r tools/wrap-comments
	@ls -d $(F) | xargs -r clang-format-14 -i

asan: setup-check
	@scripts/setup-build $(BUILD)/asan -Dasserts=true -Db_sanitize=address
	@$(TAP_SUM) --build $(BUILD)/asan unit model sim fuzz

ubsan: setup-check
	@scripts/setup-build $(BUILD)/ubsan -Dasserts=true -Db_sanitize=undefined
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(TAP_SUM) --build $(BUILD)/ubsan unit model sim fuzz

fuzz: setup-clang
	@test -n '$(T)' || { echo 'make fuzz T=name [TIME=60]; targets:'; \
		git ls-files '*_fuzz.c' | sed 's,.*/,  ,; s,_fuzz.c$$,,'; exit 2; }
	@CC=clang-14 scripts/setup-build $(BUILD)/fuzz -Dfuzz=true -Dasserts=true -Db_sanitize=address,undefined
	@scripts/fuzz $(BUILD)/fuzz '$(T)' $(TIME)

bench: setup-check
	@scripts/setup-build $(BUILD)/bench -Dbench=true
	@TQ_BUILD_DIR=$(abspath $(BUILD))/bench bench/run

# Instructions per frame of the hot code; UPDATE=1 makes what is measured the baseline.
bench-check: setup-check
	@scripts/setup-build $(BUILD)/bench -Dbench=true
	@TQ_BENCH_BUILD_DIR=$(abspath $(BUILD))/bench bench/guard $(if $(UPDATE),--update)

setup-peers:
	@scripts/bootstrap.sh build run test peers
bench-peers: setup-peers
	@scripts/setup-build $(BUILD)/bench -Dbench=true
	@TQ_BUILD_DIR=$(abspath $(BUILD))/bench bench/peers --json $(BUILD)/bench/peers.json \
		--svg $(BUILD)/bench/peers
	@TQ_BUILD_DIR=$(abspath $(BUILD))/bench bench/peers_tcp --json $(BUILD)/bench/peers_tcp.json

bench-sched: setup-check
	@scripts/setup-build $(BUILD)/bench -Dbench=true
	@TQ_BUILD_DIR=$(abspath $(BUILD))/bench bench/run sched

bench-tso: setup-check
	@scripts/setup-build $(BUILD)/bench -Dbench=true
	@TQ_BUILD_DIR=$(abspath $(BUILD))/bench bench/tso --json $(BUILD)/bench/tso.json

# The scheduler on random trees with fresh seeds; a failure prints a small case.
soak: setup-check
	@scripts/setup-build $(BUILD)/check -Dasserts=true -Dwerror=true >/dev/null
	@$(BUILD)/check/tests/model/soak $(TIME) $(SEED)

# The matrix of front-ends: minutes, and packages that are unpacked below build/cache.
interop: setup-check
	@scripts/setup-build $(BUILD)/check -Dasserts=true -Dwerror=true >/dev/null
	@TQ_BUILD_DIR=$(abspath $(BUILD))/check tests/interop/interop --out $(BUILD)/interop $(T)

# Workers killed at any instruction, CYCLES times.
soak-kill: setup-check
	@scripts/setup-build $(BUILD)/check -Dasserts=true -Dwerror=true >/dev/null
	@$(BUILD)/check/tests/sim/sim-kill_test --cycles $(CYCLES) --seed $(or $(SEED),1)

clean:
	rm -rf $(BUILD)

help:
	@echo 'make                        build $(BUILD)/tqosd and $(BUILD)/tqosctl'
	@echo 'make demo [GUEST=uml|qemu]  two tenants, four guests: promised / measured / PASS, 2 minutes'
	@echo 'make check [T=WORD]         every test this machine allows, under 15 minutes on 2 cores'
	@echo 'make check-full             also clang, sanitizers, kill cycles on real front-ends'
	@echo 'make lint                   static checks only'
	@echo 'make format [F=FILES]       format the C code'
	@echo 'make asan, make ubsan       levels 1 to 4 under a sanitizer'
	@echo 'make bench                  cycles and rates beside the peers; JSON'
	@echo 'make bench-tso              TCP between guests with offloads and without: Gbit/s, cycles a byte'
	@echo 'make bench-sched            the scheduler alone, beside rte_sched and a plain DRR, 1 minute'
	@echo 'make bench-check [UPDATE=1] instructions per frame of the hot code against the baseline'
	@echo 'make bench-peers            tqosd beside OVS-DPDK and testpmd, 5 rounds: table, JSON, SVG'
	@echo 'make fuzz T=NAME [TIME=60]  libFuzzer on one target; without T the list of targets'
	@echo 'make soak [TIME=60 SEED=N]  the scheduler on random trees against its references'
	@echo 'make soak-kill [CYCLES=N]   workers killed at any instruction: no frame lost, none twice'
	@echo 'make interop [T=WORD]       matrix of front-ends: PASS, FAIL, SKIP and why; T="--list" names cells'
	@echo 'make install                to DESTDIR/PREFIX (PREFIX=$(PREFIX))'
	@echo 'make clean                  remove $(BUILD)'
	@echo 'What is missing on the machine is installed first (as root), or the one command is printed:'
	@echo 'scripts/bootstrap.sh --dry-run says what and why.'

.PHONY: all setup-build setup-run setup-check setup-clang demo install check build-check check-full \
	lint format asan ubsan fuzz soak soak-kill bench bench-peers bench-sched bench-tso setup-peers interop \
	clean help
