/* test_kvm_virtio.c: eventfds of the x86-64 KVM engine, with this host's KVM where it has one.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/suites.h"

#ifdef __x86_64__

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"
#include "vmm/engine/kvm/engine.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/vm.h"

#define QUEUE_NOTIFY (TG_X86_VIRTIO + 0x050)
#define ROUNDS       5u

/* A guest that ends at once: eax = extension, r11d = function, edx = port, out. */
static void image_write(char path[])
{
    uint8_t code[] = {0xb8, 0, 0, 0, 0, 0x41, 0xbb, 0, 0, 0, 0, 0xba, 0, 0, 0, 0, 0xef, 0xf4};
    int fd = mkstemp(path);

    le_put32(code + 1, TG_EXT_EXIT);
    le_put32(code + 7, TG_EXIT_STOP);
    le_put32(code + 12, TG_X86_PORT_CALL);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(write(fd, code, sizeof(code)) == (ssize_t)sizeof(code));
    close(fd);
}

static struct vm_config config_make(const char *image, int out_fd)
{
    return (struct vm_config){
        .host = host_real(),
        .engine = &engine_kvm,
        .arch = &arch_x86_64,
        .start = START_KERNEL,
        .image = image,
        .raw = true,
        .mem_size = 16u << 20,
        .nharts = 2,
        .max_steps = UINT64_MAX,
        .console = CONSOLE_SBI,
        .in_fd = -1,
        .out_fd = out_fd,
    };
}

static unsigned descriptors_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static bool absent(void)
{
    char why[160];

    if (engine_kvm.probe(why, sizeof(why)) == 0)
        return false;
    printf("\n    not here: %s\n    ", why);
    return true;
}

/* Machines come and go, whether they have run or not: no descriptor stays. */
static void test_teardown(void)
{
    char path[] = "/tmp/tollgate-kvm-XXXXXX";
    struct vm_config config;
    struct error err = {0};
    struct vm vm;
    unsigned before;
    int out;

    if (absent())
        return;
    image_write(path);
    out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    before = descriptors_count();
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        config = config_make(path, out);
        config.no_eventfds = i >= ROUNDS;
        CU_ASSERT_EQUAL_FATAL(vm_create(&vm, &config, &err), 0);
        CU_ASSERT_EQUAL(vm.notify == NULL, config.no_eventfds);
        if (i % 2 == 0) {
            CU_ASSERT_EQUAL(vm_run(&vm, &err), 0);
            CU_ASSERT_EQUAL(vm.stop.cause, CAUSE_EXIT);
        }
        vm_destroy(&vm);
        CU_ASSERT_EQUAL(descriptors_count(), before);
    }
    /* One that fails when all of it is there. */
    config.no_eventfds = false;
    config.load_state = "/nowhere/state";
    CU_ASSERT_NOT_EQUAL(vm_create(&vm, &config, &err), 0);
    CU_ASSERT_EQUAL(descriptors_count(), before);
    close(out);
    unlink(path);
}

/* What is no eventfd, or has its store or line already, is refused by name of the error. */
static void test_descriptors(void)
{
    char path[] = "/tmp/tollgate-kvm-XXXXXX";
    struct vm_config config;
    struct error err = {0};
    struct vm vm;
    int out, fd, none = -1;

    if (absent())
        return;
    image_write(path);
    out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    config = config_make(path, out);
    CU_ASSERT_EQUAL_FATAL(vm_create(&vm, &config, &err), 0);
    fd = eventfd(0, EFD_CLOEXEC);
    CU_ASSERT_EQUAL(engine_kvm.store_fd(&vm, QUEUE_NOTIFY, 7, none), -EBADF);
    CU_ASSERT_EQUAL(engine_kvm.store_fd(&vm, QUEUE_NOTIFY, 7, out), -EINVAL);
    CU_ASSERT_EQUAL(engine_kvm.line_fd(&vm, TG_X86_VIRTIO_IRQ + 7, none), -EBADF);
    CU_ASSERT_EQUAL(engine_kvm.line_fd(&vm, TG_X86_VIRTIO_IRQ + 7, out), -EINVAL);
    CU_ASSERT_EQUAL(engine_kvm.store_fd(&vm, QUEUE_NOTIFY + 0x7000, 0, fd), 0);
    CU_ASSERT_EQUAL(engine_kvm.store_fd(&vm, QUEUE_NOTIFY + 0x7000, 0, fd), -EEXIST);
    CU_ASSERT_EQUAL(engine_kvm.store_fd(&vm, QUEUE_NOTIFY + 0x7000, 1, fd), 0);
    CU_ASSERT_EQUAL(engine_kvm.line_fd(&vm, TG_X86_VIRTIO_IRQ + 7, fd), 0);
    CU_ASSERT_EQUAL(engine_kvm.line_fd(&vm, TG_X86_VIRTIO_IRQ + 7, fd), -EBUSY);
    close(fd); /* the machine does without */
    CU_ASSERT_EQUAL(vm_run(&vm, &err), 0);
    CU_ASSERT_EQUAL(vm.stop.cause, CAUSE_EXIT);
    vm_destroy(&vm);
    close(out);
    unlink(path);
}

void suite_kvm_virtio(void)
{
    CU_pSuite suite = CU_add_suite("kvm-virtio", NULL, NULL);

    CU_add_test(suite, "no descriptor stays", test_teardown);
    CU_add_test(suite, "descriptors that are refused", test_descriptors);
}

#else

void suite_kvm_virtio(void)
{
}

#endif
