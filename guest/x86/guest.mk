# guest.mk: the x86-64 builds of guests; included by guest/guest.mk.
# SPDX-License-Identifier: BSD-2-Clause
#
# build/guest/x86-NAME.elf: guest/x86/NAME/*.{c,S}, guest/x86/lib, and what it shares with RISC-V.
# guest/x86/hostile/NAME.S  build/guest/x86-hostile-NAME.elf, of that file alone

# This machine's compiler where it is one for x86-64, else Debian's cross compiler.
X86_CC ?= $(if $(filter x86_64-%,$(shell $(HOSTCC) -dumpmachine)),$(HOSTCC),x86_64-linux-gnu-gcc)
# Without SSE, which no hart has switched on, and without a red zone, which interrupts would write to.
X86_FLAGS := -I. -I$(B)/gen -std=gnu11 -m64 -O2 -g -ffreestanding -fno-pic -fno-pie -fno-common \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -mgeneral-regs-only \
	-mno-red-zone -ffile-prefix-map=$(CURDIR)=. $(GUEST_WARN) $(WERROR)
X86_LINK := -m64 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack

X86_HOSTILE := $(patsubst guest/x86/hostile/%.S,%,$(wildcard guest/x86/hostile/*.S))
X86_GUESTS := hello probe latency event resume virtio

X86_SHARED := guest/lib/print.c guest/lib/sbi.c guest/lib/string.c guest/lib/tap.c
X86_hello := guest/hello/main.c
X86_probe := $(addprefix guest/probe/,attempt.c base.c console.c services.c srst.c)
X86_latency := $(addprefix guest/latency/,calls.c main.c task.c)
X86_event := guest/event/events.c

ifneq ($(shell command -v $(X86_CC) 2>/dev/null),)
GUEST_ELFS += $(X86_GUESTS:%=$(B)/guest/x86-%.elf) $(B)/guest/x86-pvh.elf \
	$(X86_HOSTILE:%=$(B)/guest/x86-hostile-%.elf)
endif

x86_objs = $(patsubst guest/%,$(B)/guest/x86/%.o,$(1))
X86_LIB_OBJS := $(call x86_objs,$(wildcard guest/x86/lib/*.c guest/x86/lib/*.S) $(X86_SHARED))

.SECONDARY: $(call x86_objs,$(wildcard guest/x86/hostile/*.S guest/x86/pvh/*.S))
$(B)/guest/x86/%.o: guest/% | $(ABI_GEN)
	@mkdir -p $(@D)
	$(X86_CC) $(X86_FLAGS) -MMD -MP -c -o $@ $<

define x86_guest
$(B)/guest/x86-$(1).elf: $$(call x86_objs,$$(wildcard guest/x86/$(1)/*.c guest/x86/$(1)/*.S) $$(X86_$(1))) \
		$$(X86_LIB_OBJS)
endef
$(foreach g,$(X86_GUESTS),$(eval $(call x86_guest,$(g))))

$(B)/guest/x86-pvh.elf: $(B)/guest/x86/x86/pvh/start.S.o
$(X86_HOSTILE:%=$(B)/guest/x86-hostile-%.elf): $(B)/guest/x86-hostile-%.elf: \
		$(B)/guest/x86/x86/hostile/%.S.o

$(X86_GUESTS:%=$(B)/guest/x86-%.elf) $(B)/guest/x86-pvh.elf $(X86_HOSTILE:%=$(B)/guest/x86-hostile-%.elf): \
		guest/x86/lib/kernel.ld
	$(X86_CC) $(X86_LINK) -T guest/x86/lib/kernel.ld -o $@ $(filter %.o,$^)

-include $(wildcard $(B)/guest/x86/*/*.d $(B)/guest/x86/*/*/*.d)
