# cutover - builds build/cutover. `make help` lists what else there is.
#
# Objects lie in build/<kind>/ so that kinds never mix: release, asan, fuzz.
.DEFAULT_GOAL := all
SHELL := /bin/bash
.SECONDARY: # objects are kept: a second run is quick
PREFIX ?= /usr/local
CC ?= gcc
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
COMMA := ,
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

LIBS := libcurl openssl jansson libmariadb expat sqlite3
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wformat=2 -Wimplicit-fallthrough $(if $(CI)$(WERROR),-Werror)
# The linked file is marked only with what all of its parts are. glibc's start files
# of Debian 12 bear no marks: they only call and return, as a shadow stack wants,
# and lack endbr64, so for IBT the file is marked where its start files are.
BRANCHES := $(if $(filter x86_64%,$(MACHINE)),-fcf-protection,$(if $(filter aarch64%,$(MACHINE)),-mbranch-protection=standard))
SHADOW := $(if $(filter x86_64%,$(MACHINE)),$(COMMA)-z$(COMMA)shstk)
HARDEN := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	$(BRANCHES) -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks \
	-fno-strict-overflow -fPIE
LD_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed$(SHADOW)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

base_cflags = -std=gnu17 -D_GNU_SOURCE -g -Icontroller -DCUTOVER_VERSION='"$(VERSION)"' \
	$(shell pkg-config --cflags $(LIBS) 2>/dev/null) $(WARN) -MMD -MP
base_libs = $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lpthread -lm

SRC := $(filter-out controller/main.c,$(sort $(wildcard controller/*/*.c)))
UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all help deps demo-deps check demo demo-clean soak bench install size layers tidy analyze clean asan units fuzz
all: build/cutover

help:
	@echo 'make                 build/cutover'
	@echo 'make demo [PLAN=upgrade|stacks] [FAULT=f]  a whole cutover of real MediaWiki on this machine'
	@echo 'make check           all tests; `tests/run PART...` runs some of tests/parts'
	@echo 'make test T=claim    one unit test, tests/unit/test_claim.c'
	@echo 'make demo-harm [K=n] n demos with FAULT=few: what users lost, next to what the judge'"'"'s evaluation predicts'
	@echo 'make soak [N=n]      n seeds of the simulated world'
	@echo 'make mutants [N=n] [SEED=s] [FILE=f]  n small mistakes in the safety core, one at a time: which would no test notice?'
	@echo 'make bench           latency, memory, CPU, the schema gate, the time without edits'
	@echo 'make judge-bench [WORLDS=n]  the judge on the published cells, next to the oracle and its peers'
	@echo 'make install PREFIX=/usr/local'
	@echo 'make judge-differences size layers tidy analyze fuzz demo-clean clean'

# --- release ---------------------------------------------------------------
REL := $(SRC:controller/%.c=build/release/%.o) build/release/main.o
build/cutover: build/.deps-build $(REL) Makefile
	@echo '  LD   $@'
	$(Q)$(CC) $(LD_HARDEN) -o $@.new $(REL) $(base_libs) && mv $@.new $@
build/release/%.o: controller/%.c | build/.deps-build
	@mkdir -p $(@D); echo '  CC   $<'
	$(Q)$(CC) $(base_cflags) $(HARDEN) -c $< -o $@

# --- sanitized library and unit tests --------------------------------------
ASAN_LIB := build/asan/libcutover.a
build/asan/%.o: controller/%.c | build/.deps-build
	@mkdir -p $(@D); echo '  CC   $< (sanitizers)'
	$(Q)$(CC) $(base_cflags) -O1 -fno-omit-frame-pointer $(SANITIZE) -c $< -o $@
$(ASAN_LIB): $(SRC:controller/%.c=build/asan/%.o)
	$(Q)rm -f $@; ar qcs $@ $^
build/asan/tests/%.o: tests/unit/%.c | build/.deps-build
	@mkdir -p $(@D); echo '  CC   $< (sanitizers)'
	$(Q)$(CC) $(base_cflags) -Itests/unit -O1 -fno-omit-frame-pointer $(SANITIZE) -c $< -o $@
# An archive, so that a program gets only the helpers it uses: some have the
# engine in them, others stand in its place.
UNIT_HELP := build/asan/tests/libhelp.a
$(UNIT_HELP): $(patsubst tests/unit/%.c,build/asan/tests/%.o,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
	$(Q)rm -f $@; ar rcs $@ $^
build/asan/tests/test_%: build/asan/tests/test_%.o $(UNIT_HELP) $(ASAN_LIB)
	@echo '  LD   $@'
	$(Q)$(CC) $(SANITIZE) -o $@ $< $(UNIT_HELP) $(ASAN_LIB) $(base_libs) -lcmocka
units: $(UNIT:%=build/asan/tests/%)
asan: $(ASAN_LIB) units

-include $(shell find build/release build/asan build/analyze build/tidy build/fuzz -name '*.d' -type f 2>/dev/null)

# --- what must be installed --------------------------------------------------
build/.deps-build: tests/deps
	@mkdir -p build; tests/deps build
	@touch $@

# --- tests -------------------------------------------------------------------
build/.deps-check: tests/deps
	@mkdir -p build; tests/deps check
	@touch $@
check: build/.deps-check
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) build/cutover units fuzz tools
	$(Q)tests/run

# Programs that tests drive, built as the unit tests are; the program itself among them.
TOOLS := $(patsubst tests/tools/%.c,build/asan/tools/%,$(sort $(wildcard tests/tools/*.c)))
.PHONY: tools
tools: $(TOOLS) build/asan/cutover
build/asan/cutover: build/asan/main.o $(ASAN_LIB)
	@echo '  LD   $@'
	$(Q)$(CC) $(SANITIZE) -o $@ $< $(ASAN_LIB) $(base_libs)
build/asan/tools/%: tests/tools/%.c $(ASAN_LIB)
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(base_cflags) -Itests/unit -O1 $(SANITIZE) -o $@ $< $(ASAN_LIB) $(base_libs)

# libFuzzer wants clang; its objects have coverage counters of their own.
fuzz: $(FUZZ:%=build/fuzz/%)
build/fuzz/obj/%.o: controller/%.c | build/.deps-check
	@mkdir -p $(@D); echo '  CC   $< (fuzz)'
	$(Q)clang $(filter-out -Werror,$(base_cflags)) -Wno-unknown-warning-option -O1 -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
build/fuzz/libcutover.a: $(SRC:controller/%.c=build/fuzz/obj/%.o)
	$(Q)rm -f $@; ar qcs $@ $^
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libcutover.a
	@echo '  LD   $@'
	$(Q)clang $(filter-out -Werror,$(base_cflags)) -Wno-unknown-warning-option -O1 -fsanitize=fuzzer,address,undefined -o $@ $< \
		build/fuzz/libcutover.a $(base_libs)

# One of them: make test T=claim.
.PHONY: test
test: build/asan/tests/test_$(T)
	$(Q)$<

soak: build/cutover units
	$(Q)CUTOVER_SEEDS=$(or $(N),20000) CUTOVER_FIRST_SEED=$(or $(SEED),1) build/asan/tests/test_seeds
	$(Q)CUTOVER_CRASH_ALL=1 build/asan/tests/test_crash
	$(Q)SCHEMA_LONG=1 tests/parts/schema
	$(Q)tests/parts/model all

# One mistake at a time in a copy of the project; some 20 s each.
.PHONY: mutants
mutants: build/.deps-check
	$(Q)tests/mutants/mutants.py --of $(or $(N),300) --seed $(or $(SEED),1) $(if $(FILE),--only $(FILE))

# --- static analysis ------------------------------------------------------------
# A stamp for each source: what has not changed since is not looked at again.
JOBS ?= $(shell nproc)
in_parallel = $(MAKE) --no-print-directory $(if $(Q),-s) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS)) -k
SOURCES := $(SRC) controller/main.c
analyze:
	$(Q)$(in_parallel) $(SOURCES:controller/%.c=build/analyze/%.ok)
build/analyze/%.ok: controller/%.c Makefile | build/.deps-build
	@mkdir -p $(@D); echo '  ANALYZE $<'
	$(Q)$(CC) $(base_cflags) -MF $(@:.ok=.d) -MT $@ -O1 -fanalyzer -Werror -c $< -o /dev/null
	@touch $@
tidy:
	$(Q)$(in_parallel) $(SOURCES:controller/%.c=build/tidy/%.ok)
build/tidy/%.ok: controller/%.c Makefile | build/.deps-check
	@mkdir -p $(@D); echo '  TIDY $<'
	$(Q)clang-tidy --quiet --warnings-as-errors='*' --checks=$(TIDY) $< -- \
		$(filter-out -MMD -MP,$(base_cflags)) -Wno-unknown-warning-option 2>$(@:.ok=.log) || { cat $(@:.ok=.log) >&2; exit 1; }
	$(Q)$(CC) $(base_cflags) -MF $(@:.ok=.d) -MT $@ -fsyntax-only $<
	@touch $@
# Off: what wants an include for each name that a room's header brings along, and
# what speaks of style that this code has on purpose.
TIDY := -*,bugprone-*,cert-*,performance-*,misc-*,-bugprone-easily-swappable-parameters,-cert-err33-c,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp,-bugprone-assignment-in-if-condition,-misc-no-recursion,-bugprone-narrowing-conversions,-performance-no-int-to-ptr,-bugprone-multi-level-implicit-pointer-conversion,-bugprone-suspicious-string-compare,-misc-include-cleaner

# --- looking at ourselves ----------------------------------------------------------
size:
	@tests/size
layers:
	@tests/layers

# --- installing ------------------------------------------------------------------------
install: build/cutover
	install -D -m 755 build/cutover $(DESTDIR)$(PREFIX)/bin/cutover
	cd plans && find . -type f -exec install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX))/share/cutover/plans/{} \;
	cd templates && find . -type f -exec install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX))/share/cutover/templates/{} \;

clean:
	rm -rf build

-include tests/lab/lab.mk tests/bench/bench.mk tests/judge/judge.mk
