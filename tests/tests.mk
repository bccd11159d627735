# tests.mk: what `make check`, `make lint` and their relatives do; included by the top Makefile.
# SPDX-License-Identifier: BSD-2-Clause

.PHONY: help run check check-quick lint format bench soak unit-test setup-run setup-check

help:
	@echo 'make            build build/tollgate'
	@echo 'make run        install what is missing, build, boot Debian riscv64 to a shell'
	@echo 'make check      install what is missing, lint, build every way, run every test'
	@echo 'make check-long Linux on the KVM engines, nested'
	@echo 'make cross      build/cross/tollgate, static, for riscv64 hosts with KVM'
	@echo 'make lint       style and static analysis only'
	@echo 'make format     reformat the C files'
	@echo 'make bench      speed, side by side with QEMU'
	@echo 'make release    check the table of calls for a release, and lock it'
	@echo 'make soak       hours of proofs, resumable (INPUTS=n a fuzz target, BOOTS=n)'
	@echo 'make docs       man page, bash completion and option reference, into build/docs'
	@echo 'make install    PREFIX=/usr/local, DESTDIR=; make uninstall removes it again'
	@echo 'make deb        a Debian package, into build'
	@echo 'make clean, make distclean: the second removes downloaded guests too'

run:
	@sh guest/linux/run.sh $(RUN_ARGS)

# What takes longer than a check should.
.PHONY: check-long
check-long: all guests kvm-state
	@bash tests/guest/kvm-nested.sh $(B) linux
	-@sh guest/linux/fetch.sh amd64
	-@sh tests/tools/qemu.sh x86
	@bash tests/guest/kvm-x86.sh $(B) linux

check:
	@bash tests/check.sh

lint:
	@bash tests/lint.sh

format:
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

unit-test: $(B)/unit
	$(B)/unit

# The workloads are a bare program like those of guest/program.
$(B)/guest/bench-compute.elf: tests/bench/compute.c $(GUEST_PROGRAM_LIB_OBJS) guest/lib/program.ld | $(ABI_GEN)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_PROGRAM_FLAGS) $(GUEST_LINK) -T guest/lib/program.ld -o $@ \
		$< $(GUEST_PROGRAM_LIB_OBJS)

# A kernel guest that makes a call which does nothing, a million times.
$(B)/guest/bench-null.elf: tests/bench/null.c $(GUEST_LIB_OBJS) guest/lib/kernel.ld
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_KERNEL_FLAGS) $(GUEST_LINK) -T guest/lib/kernel.ld -o $@ \
		$< $(GUEST_LIB_OBJS)

# A kernel guest that times privileged operations.
$(B)/guest/bench-bare.elf: tests/bench/bare/main.c tests/bench/bare/vector.S $(GUEST_LIB_OBJS) guest/lib/kernel.ld
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_KERNEL_FLAGS) $(GUEST_LINK) -T guest/lib/kernel.ld -o $@ \
		tests/bench/bare/main.c tests/bench/bare/vector.S $(GUEST_LIB_OBJS)

$(B)/bench-watch: $(B)/obj/tests/bench/watch.o
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^

# A kernel guest that repeats privileged instructions.
$(B)/guest/bench-priv.elf: tests/bench/priv.c $(GUEST_LIB_OBJS) guest/lib/kernel.ld
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) $(GUEST_KERNEL_FLAGS) $(GUEST_LINK) -T guest/lib/kernel.ld -o $@ \
		$< $(GUEST_LIB_OBJS)

$(B)/bench-policy: $(B)/obj/tests/bench/policy.o $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bench-own: $(B)/obj/tests/bench/own.o $(B)/libtollgate.a
	$(CC) $(LDSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: bench-policy
bench-policy: all guests $(B)/bench-policy $(B)/guest/bench-null.elf
	@bash tests/bench/run.sh policy

bench: all guests $(B)/guest/bench-compute.elf $(B)/bench-policy $(B)/guest/bench-null.elf \
		$(B)/guest/bench-bare.elf $(B)/bench-watch $(B)/bench-own $(B)/guest/bench-priv.elf
	@bash tests/bench/run.sh $(BENCH)

# The table of calls becomes the released one, when all that this promises is kept.
.PHONY: release
release: all guests unit
	@bash tests/release.sh $(B)

soak:
	@bash tests/soak.sh

# The same monitor for a riscv64 host, static, in a Debian 13 root: build/debian13, which leads into the cache so that
# `make clean` need not fetch it again.
CROSS := build/debian13/bin/riscv64-linux-gnu-
CROSS_MAKE = $(MAKE) B=build/cross CC=$(CROSS)gcc AR=$(CROSS)ar LDFLAGS=-static
.PHONY: cross cross-test
cross:
	@sh tests/tools/cross.sh
	@mkdir -p build && ln -sfn "$(abspath $(CACHE))/cross" build/debian13
	+@$(CROSS_MAKE) build/cross/tollgate

# And what tests its KVM engine there.
cross-test: cross
	+@$(CROSS_MAKE) build/cross/kvm-test
