# guest.mk: the in-tree guests, with a bare-metal RISC-V compiler; included by the top Makefile.
# SPDX-License-Identifier: BSD-2-Clause
#
# guest/NAME/*.{c,S}     build/guest/NAME.elf          kernel guests of several files
# guest/hostile/NAME.c   build/guest/hostile-NAME.elf  kernel guests of one file
# guest/program/NAME.c   build/guest/program-NAME.elf  bare U-mode programs
#
# A folder with none of the three shapes (abi, lib, linux) makes no guest. guest/x86: see there.

B ?= build
GUEST_CROSS ?= riscv64-unknown-elf-
GUEST_CC ?= $(GUEST_CROSS)gcc

GUEST_KERNELS := $(filter-out abi lib linux hostile program x86,\
	$(sort $(patsubst guest/%/,%,$(dir $(wildcard guest/*/*.c)))))
GUEST_HOSTILE := $(patsubst guest/hostile/%.c,%,$(wildcard guest/hostile/*.c))
GUEST_PROGRAMS := $(patsubst guest/program/%.c,%,$(wildcard guest/program/*.c))

GUEST_ELFS := $(GUEST_KERNELS:%=$(B)/guest/%.elf) \
	$(GUEST_HOSTILE:%=$(B)/guest/hostile-%.elf) \
	$(GUEST_PROGRAMS:%=$(B)/guest/program-%.elf)

GUEST_WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wundef -Wformat=2 -Wcast-qual -Wpointer-arith -Wimplicit-fallthrough -Wconversion \
	-Wno-sign-conversion
# Loops must not become calls of the very functions that they implement.
GUEST_FLAGS := -I. -I$(B)/gen -std=gnu11 -O2 -g -mcmodel=medany -ffreestanding -fno-pic -fno-common \
	-fno-stack-protector -fno-tree-loop-distribute-patterns -ffile-prefix-map=$(CURDIR)=. \
	$(GUEST_WARN) $(WERROR)
# Kernel guests touch no floating point: a trap need not save it.
GUEST_KERNEL_FLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64
GUEST_PROGRAM_FLAGS := -march=rv64gc -mabi=lp64d
GUEST_LINK := -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096

guest_objs = $(patsubst guest/%,$(B)/guest/obj/%.o,$(wildcard $(1)))
GUEST_LIB_OBJS := $(call guest_objs,guest/lib/*.c guest/lib/*.S)
GUEST_PROGRAM_LIB_OBJS := $(B)/guest/obj/lib/program/start.S.o $(B)/guest/obj/lib/program/string.c.o

include guest/x86/guest.mk

.PHONY: guests
.SECONDARY: $(GUEST_PROGRAMS:%=$(B)/guest/obj/program/%.c.o) \
	$(GUEST_HOSTILE:%=$(B)/guest/obj/hostile/%.c.o) $(GUEST_PROGRAM_LIB_OBJS)
guests: $(GUEST_ELFS)

$(B)/guest/obj/%.o: guest/% | $(ABI_GEN)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(B)/guest/obj/program/%.o: guest/program/% | $(ABI_GEN)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_PROGRAM_FLAGS) -MMD -MP -c -o $@ $<

$(B)/guest/obj/lib/program/%.o: guest/lib/program/% | $(ABI_GEN)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_PROGRAM_FLAGS) -MMD -MP -c -o $@ $<

# Shared source, but another ABI than the kernels'.
$(B)/guest/obj/lib/program/string.c.o: guest/lib/string.c | $(ABI_GEN)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_PROGRAM_FLAGS) -MMD -MP -c -o $@ $<

define guest_kernel
$(B)/guest/$(1).elf: $(call guest_objs,guest/$(1)/*.c guest/$(1)/*.S)
endef
$(foreach g,$(GUEST_KERNELS),$(eval $(call guest_kernel,$(g))))

$(GUEST_HOSTILE:%=$(B)/guest/hostile-%.elf): $(B)/guest/hostile-%.elf: $(B)/guest/obj/hostile/%.c.o

$(GUEST_KERNELS:%=$(B)/guest/%.elf) $(GUEST_HOSTILE:%=$(B)/guest/hostile-%.elf): \
		$(GUEST_LIB_OBJS) guest/lib/kernel.ld
	$(GUEST_CC) $(GUEST_KERNEL_FLAGS) $(GUEST_LINK) -T guest/lib/kernel.ld -o $@ $(filter %.o,$^)

$(B)/guest/program-%.elf: $(B)/guest/obj/program/%.c.o $(GUEST_PROGRAM_LIB_OBJS) \
		guest/lib/program.ld
	$(GUEST_CC) $(GUEST_PROGRAM_FLAGS) $(GUEST_LINK) -T guest/lib/program.ld -o $@ $(filter %.o,$^)

-include $(wildcard $(B)/guest/obj/*/*.d $(B)/guest/obj/*/*/*.d)
