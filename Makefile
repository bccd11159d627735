# Makefile: builds, runs, tests and measures Tollgate; `make help` lists the targets.
# SPDX-License-Identifier: BSD-2-Clause

B ?= build
CC ?= cc
AR ?= ar
CLANG ?= clang-14
CACHE ?= $(or $(TOLLGATE_CACHE),.cache)

# SAN=1: AddressSanitizer and UBSan; DEBUG=1: no optimisation. Both run the interpreter's ops from
# a loop, because tail calls become jumps only in an optimised build (vmm/engine/interp/interp.h).
OPT := -O2
ifdef DEBUG
OPT := -O0 -DINTERP_LOOP
endif
ifdef SAN
OPT := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-DINTERP_LOOP
LDSAN := -fsanitize=address,undefined
endif
ifdef TSAN
OPT := -O1 -fno-omit-frame-pointer -fsanitize=thread -DINTERP_LOOP
LDSAN := -fsanitize=thread
endif
# FUZZ=1: coverage for libFuzzer, beside SAN=1; without it the fuzzers would be blind.
ifdef FUZZ
OPT += -fsanitize=fuzzer-no-link
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wformat=2 -Wcast-qual -Wpointer-arith -Wimplicit-fallthrough
# Conversions are checked outside the engines, whose business they are.
WARN_CONV := -Wconversion -Wno-sign-conversion
WERROR ?= -Werror
ALL_CFLAGS = -I. -std=gnu11 -g $(OPT) -pthread -D_GNU_SOURCE -ffile-prefix-map=$(CURDIR)=. $(WARN) \
	$(WERROR) $(DBT_FLAGS) $(CFLAGS)
LIBS := -lfdt -ljansson -lsodium -lz -lzstd -lm -pthread
TEST_LIBS := -lcunit

CORE_SRC := $(filter-out vmm/main.c,$(wildcard vmm/*.c))
# The KVM engine is of one architecture, guest's and host's alike.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ENGINE_SRC := $(filter-out vmm/engine/kvm/% vmm/engine/dbt/%,$(wildcard vmm/engine/*/*.c)) \
	$(wildcard vmm/engine/kvm/$(ARCH)*.c)
# The translator is of the host's; DBT= builds without it.
DBT ?= $(filter x86_64,$(ARCH))
ifneq ($(DBT),)
ENGINE_SRC += $(wildcard vmm/engine/dbt/*.c)
DBT_FLAGS := -DTOLLGATE_DBT
TEST_LIBS += -lcapstone
endif
MODULE_SRC := $(wildcard devices/*.c hypercalls/*.c firmware/*.c)
LIB_SRC := $(CORE_SRC) $(ENGINE_SRC) $(MODULE_SRC)
UNIT_SRC := $(wildcard tests/unit/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=%)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all
all: $(B)/tollgate

include guest/guest.mk

$(B)/tollgate: $(B)/obj/vmm/main.o $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# For tests that take a binary: the same with the translator.
$(B)/tollgate-dbt: tests/tools/tollgate-dbt.sh $(B)/tollgate
	install -m 755 $< $@

$(B)/libtollgate.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/unit: $(call obj,$(UNIT_SRC)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(B)/diff: $(call obj,$(wildcard tests/diff/*.c)) $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# Short names for the programs that the checks build.
.PHONY: unit diff
unit: $(B)/unit
diff: $(B)/diff

$(B)/obj/vmm/engine/%.o: vmm/engine/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ENGINE_FLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(WARN_CONV) -MMD -MP -c -o $@ $<

# Fuzz targets: clang's libFuzzer, everything instrumented, in a build folder of their own.
.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(B)/%)
# They share the unit tests' fixture.
FUZZ_COMMON := tests/unit/fixture.c tests/unit/mock_host.c
$(FUZZERS:%=$(B)/%): $(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(call obj,$(FUZZ_COMMON)) \
		$(B)/libtollgate.a
	$(CC) $(LDSAN) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

-include $(shell test -d $(B)/obj && find $(B)/obj $(B)/guest -name '*.d' 2>/dev/null)

include tests/tests.mk
include docs/package.mk

.PHONY: clean distclean
clean:
	rm -rf build

distclean: clean
	rm -rf $(CACHE)
