# Makefile: builds, runs, tests and measures Tollgate; `make help` lists the targets.
# SPDX-License-Identifier: BSD-2-Clause

B ?= build
CC ?= cc
AR ?= ar
# What runs while building: cross builds have another compiler for it.
HOSTCC ?= $(if $(filter cc gcc clang%,$(CC)),$(CC),cc)
CLANG ?= clang-14
CACHE ?= $(or $(TOLLGATE_CACHE),.cache)

# SAN=1: AddressSanitizer and UBSan; DEBUG=1: no optimisation. Both run the interpreter's ops from
# a loop, because tail calls become jumps only in an optimised build (vmm/engine/interp/interp.h).
# Both end a machine whose module breaks the contract of a call (vmm/call.h).
OPT := -O2
ifdef DEBUG
OPT := -O0 -DINTERP_LOOP -DCALL_STRICT
endif
ifdef SAN
OPT := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-DINTERP_LOOP -DCALL_STRICT
LDSAN := -fsanitize=address,undefined
endif
ifdef TSAN
OPT := -O1 -fno-omit-frame-pointer -fsanitize=thread -DINTERP_LOOP
LDSAN := -fsanitize=thread
endif
# FUZZ=1: coverage for libFuzzer, beside SAN=1; without it the fuzzers would be blind.
ifdef FUZZ
OPT += -fsanitize=fuzzer-no-link -fsanitize-coverage-ignorelist=tests/fuzz/uncovered.txt
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wformat=2 -Wcast-qual -Wpointer-arith -Wimplicit-fallthrough
# Conversions are checked outside the engines, whose business they are.
WARN_CONV := -Wconversion -Wno-sign-conversion
WERROR ?= -Werror
ALL_CFLAGS = -I. -I$(B)/gen -std=gnu11 -g $(OPT) -pthread -D_GNU_SOURCE -ffile-prefix-map=$(CURDIR)=. $(WARN) \
	$(WERROR) $(DBT_FLAGS) $(CFLAGS)
# Modules that are loaded (--module) find in the program all that its headers promise them; a static
# program can load none.
ifneq ($(findstring -static,$(LDFLAGS)),)
OPT += -DSTATIC_BUILD
else
LDEXPORT := -rdynamic
endif
LIBS := -lfdt -ljansson -lsodium -lz -lzstd -lm -pthread
TEST_LIBS := -lcunit

CORE_SRC := $(filter-out vmm/main.c,$(wildcard vmm/*.c)) $(wildcard vmm/bench/*.c vmm/x86/*.c)
# The KVM engine is of one architecture, guest's and host's alike; a host of another has none.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
kvm_src = $(if $(1),vmm/engine/kvm/common.c $(1))
ENGINE_SRC := $(filter-out vmm/engine/kvm/% vmm/engine/dbt/%,$(wildcard vmm/engine/*/*.c)) \
	$(call kvm_src,$(wildcard vmm/engine/kvm/$(ARCH)*.c))
# The translator is of the host's; DBT= builds without it.
DBT ?= $(filter x86_64,$(ARCH))
ifneq ($(DBT),)
ENGINE_SRC += $(wildcard vmm/engine/dbt/*.c)
DBT_FLAGS := -DTOLLGATE_DBT
TEST_LIBS += -lcapstone
endif
MODULE_SRC := $(filter-out hypercalls/abigen.c,$(wildcard devices/*.c hypercalls/*.c firmware/*.c))
LIB_SRC := $(CORE_SRC) $(ENGINE_SRC) $(MODULE_SRC)
UNIT_SRC := $(wildcard tests/unit/*.c)
FUZZ_SRC := $(filter-out $(if $(DBT),,%/fuzz_dbt.c),$(wildcard tests/fuzz/fuzz_*.c))
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=%)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all
all: $(B)/tollgate

# --- the table of calls: everything made from it lies in $(B)/gen, and nothing of it is committed ---

# What the generator is made of knows nothing of what it makes.
ABIGEN_SRC := hypercalls/abigen.c vmm/abi.c vmm/abi_gen.c vmm/abi_doc.c vmm/error.c
ABI_GEN := $(B)/gen/made

$(B)/abigen: $(ABIGEN_SRC) vmm/abi.h vmm/call.h vmm/mem.h vmm/error.h vmm/version.h
	@mkdir -p $(@D)
	$(HOSTCC) -I. -std=gnu11 -O1 -g -D_GNU_SOURCE $(WARN) $(WERROR) -o $@ $(ABIGEN_SRC)

$(ABI_GEN): hypercalls/abi.tbl $(B)/abigen
	$(B)/abigen hypercalls/abi.tbl $(B)/gen
	@touch $@

# Those that stay the same keep their time, and what includes them is not built again.
$(B)/gen/%.h $(B)/gen/%.c: $(ABI_GEN) ;

$(B)/obj/gen/abi_table.o: $(B)/gen/vmm/abi_table.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(WARN_CONV) -MMD -MP -c -o $@ $<

include guest/guest.mk

$(B)/tollgate: $(B)/obj/vmm/main.o $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) $(LDEXPORT) -o $@ $< -Wl,--whole-archive $(B)/libtollgate.a \
		-Wl,--no-whole-archive $(LIBS)

# For tests that take a binary: the same with one engine, whatever the default is.
$(B)/tollgate-dbt $(B)/tollgate-interp $(B)/tollgate-kvm: tests/tools/tollgate-engine.sh $(B)/tollgate
	install -m 755 $< $@

$(B)/libtollgate.a: $(call obj,$(LIB_SRC)) $(B)/obj/gen/abi_table.o \
		$(B)/obj/vmm/bench/guest.o
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/unit: $(call obj,$(UNIT_SRC)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(B)/diff: $(call obj,$(wildcard tests/diff/*.c)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/lockstep: $(call obj,$(wildcard tests/lockstep/*.c) tests/diff/program.c) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# What compares the translator with the interpreter, where there is one.
$(B)/hunt: $(call obj,$(wildcard tests/hunt/*.c) tests/diff/program.c tests/unit/assembler.c) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/vectors: $(call obj,$(wildcard tests/vectors/*.c) tests/diff/program.c tests/unit/assembler.c) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/twins: $(call obj,$(wildcard tests/twins/*.c)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# For hosts whose KVM is an engine of this build.
$(B)/kvm-test: $(call obj,$(wildcard tests/kvm/*.c)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -Wl,--wrap=ioctl -o $@ $^ $(LIBS)

# Saved machines of the x86-64 KVM engine.
$(B)/kvm-state: $(call obj,$(wildcard tests/kvm-state/*.c)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# Short names for the programs that the checks build.
.PHONY: kvm-state
kvm-state: $(if $(filter x86_64,$(ARCH)),$(B)/kvm-state)
.PHONY: unit diff lockstep hunt vectors twins
twins: $(B)/twins
hunt: $(B)/hunt
vectors: $(B)/vectors
unit: $(B)/unit
diff: $(B)/diff
lockstep: $(B)/lockstep

$(B)/obj/vmm/engine/%.o: vmm/engine/%.c | $(ABI_GEN)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ENGINE_FLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/tests/%.o: tests/%.c | $(ABI_GEN)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/%.o: %.c | $(ABI_GEN)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(WARN_CONV) -MMD -MP -c -o $@ $<

# The probe of `bench calls` is part of the program where its compiler is there; without it the
# program builds as well, and says so when it is asked for a measurement.
ifneq ($(shell command -v $(GUEST_CC) 2>/dev/null),)
BENCH_GUEST := $(B)/guest/latency.bin
BENCH_FLAGS := -DBENCH_GUEST='"$(BENCH_GUEST)"'
endif
$(B)/guest/latency.bin: $(B)/guest/latency.elf
	$(GUEST_CROSS)objcopy -S $< $@

$(B)/obj/vmm/bench/guest.o: vmm/bench/guest.S $(BENCH_GUEST)
	@mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -c -o $@ $<

# Results name the commit; the file changes only when that does.
COMMIT := $(or $(shell git describe --always --dirty 2>/dev/null),unknown)
$(B)/obj/vmm/bench/fingerprint.o: CFLAGS += -DTG_COMMIT='"$(COMMIT)"'
$(B)/obj/vmm/bench/fingerprint.o: $(B)/obj/commit-$(COMMIT)
$(B)/obj/commit-$(COMMIT):
	@mkdir -p $(@D)
	@rm -f $(B)/obj/commit-*
	@touch $@

# Fuzz targets: clang's libFuzzer, everything instrumented, in a build folder of their own.
.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(B)/%)
# They share the unit tests' fixture.
FUZZ_COMMON := tests/fuzz/seed.c tests/fuzz/fake.c tests/fuzz/fake_files.c tests/unit/fixture.c tests/unit/mock_host.c
$(FUZZERS:%=$(B)/%): $(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(call obj,$(FUZZ_COMMON)) \
		$(B)/libtollgate.a
	$(CC) $(LDSAN) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

$(B)/fuzz_dbt: $(call obj,$(filter-out tests/hunt/main.c,$(wildcard tests/hunt/*.c)) tests/diff/program.c tests/unit/assembler.c)

-include $(shell test -d $(B)/obj && find $(B)/obj $(B)/guest -name '*.d' 2>/dev/null)

include tests/tests.mk
include docs/package.mk

.PHONY: clean distclean
clean:
	rm -rf build

distclean: clean
	rm -rf $(CACHE)
