/* main.c: Tollgate's calls from Linux, and whether this machine answers them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "module.h"
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "guest/abi/tg.h"

#define NAME_MAX_BYTES 64
#define ERRNO_MAX      4095 /* the kernel's MAX_ERRNO: what is larger is none */

static bool console;
module_param(console, bool, 0444);
MODULE_PARM_DESC(console, "kernel messages go to ttyTG0, as with console=ttyTG0 (default: no)");

static const char *const service_names[] = {
    "base", "exit", "console", "clock", "files", "multicall", "event", "entropy",
};

struct sbiret tollgate_call(unsigned long extension, unsigned long function,
                            const unsigned long arg[6])
{
    return sbi_ecall(extension, function, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

struct sbiret tollgate_call_buffer(unsigned long extension, unsigned long function,
                                   const unsigned long arg[6], unsigned int first,
                                   const void *buffer, size_t length)
{
    unsigned long all[6];

    memcpy(all, arg, sizeof(all));
    all[first] = length;
    all[first + 1] = virt_to_phys((volatile void *)buffer);
    all[first + 2] = 0;
    return tollgate_call(extension, function, all);
}

int tollgate_errno(struct sbiret ret)
{
    if (ret.error == SBI_SUCCESS)
        return 0;
    if (ret.value > 0 && ret.value <= ERRNO_MAX)
        return -(int)ret.value;
    switch (ret.error) {
    case SBI_ERR_DENIED: return -EPERM;
    case SBI_ERR_INVALID_PARAM: return -EINVAL;
    case SBI_ERR_INVALID_ADDRESS: return -EFAULT;
    case SBI_ERR_NOT_SUPPORTED: return -EOPNOTSUPP;
    default: return -EIO;
    }
}

struct sbiret tollgate_base(unsigned long function)
{
    static const unsigned long none[6];

    return tollgate_call(TG_EXT_BASE, function, none);
}

bool tollgate_supports(unsigned long extension, unsigned long function)
{
    const unsigned long arg[6] = {extension, function};
    struct sbiret ret = tollgate_call(TG_EXT_BASE, TG_BASE_SUPPORTS, arg);

    return ret.error == SBI_SUCCESS && ret.value == 1;
}

/* The name goes through a buffer of its own: text may lie anywhere in the kernel. */
static size_t describe_name(char *text, size_t size)
{
    static const unsigned long none[6];
    char *name = kzalloc(NAME_MAX_BYTES, GFP_KERNEL);
    struct sbiret ret;
    size_t n = 0;

    if (!name)
        return 0;
    ret = tollgate_call_buffer(TG_EXT_BASE, TG_BASE_NAME, none, 0, name, NAME_MAX_BYTES - 1);
    if (ret.error == SBI_SUCCESS)
        n = scnprintf(text, size, "monitor %s\n", name);
    kfree(name);
    return n;
}

size_t tollgate_describe(char *text, size_t size)
{
    struct sbiret version = tollgate_base(TG_BASE_VERSION);
    struct sbiret features = tollgate_base(TG_BASE_FEATURES);
    size_t n = describe_name(text, size);

    if (version.error == SBI_SUCCESS)
        n += scnprintf(text + n, size - n, "version %lu.%lu\n",
                       (unsigned long)version.value >> 16,
                       (unsigned long)version.value & 0xffff);
    if (features.error != SBI_SUCCESS)
        return n;
    n += scnprintf(text + n, size - n, "features 0x%lx\nservices",
                   (unsigned long)features.value);
    for (unsigned int i = 0; i < ARRAY_SIZE(service_names); i++)
        if (features.value & BIT(i))
            n += scnprintf(text + n, size - n, " %s", service_names[i]);
    n += scnprintf(text + n, size - n, "\ndeterministic %s\n",
                   features.value & TG_FEATURE_DETERMINISTIC ? "yes" : "no");
    return n;
}

/*
 * The range is SBI's experimental one (SBI 3.0, section 3.2), where another firmware may have
 * calls of its own; so the version is asked for, too, before anything with an effect is called.
 */
static int machine_check(void)
{
    struct sbiret version;

    if (sbi_probe_extension(TG_EXT_BASE) <= 0) {
        pr_err(
            "this machine does not have tg.base; is it Tollgate, without --without tg-base?\n");
        return -ENODEV;
    }
    version = tollgate_base(TG_BASE_VERSION);
    if (version.error != SBI_SUCCESS ||
        (unsigned long)version.value >> 16 != TG_ABI_VERSION >> 16) {
        pr_err("tg.base.version answers error %ld, value 0x%lx; this module is for 0x%x\n",
               (long)version.error, (unsigned long)version.value, TG_ABI_VERSION);
        return -ENODEV;
    }
    if (!tollgate_supports(TG_EXT_CONSOLE, TG_CONSOLE_WRITE) ||
        !tollgate_supports(TG_EXT_CONSOLE, TG_CONSOLE_LOG)) {
        pr_err("this machine does not have tg.console; run it without --without tg-console\n");
        return -ENODEV;
    }
    return 0;
}

static int __init tollgate_init(void)
{
    int rc = machine_check();

    if (rc)
        return rc;
    rc = tollgate_tty_init(console);
    if (rc)
        return rc;
    rc = tollgate_dev_init();
    if (rc) {
        tollgate_tty_exit();
        return rc;
    }
    pr_info("ttyTG0 and /dev/tollgate are there\n");
    return 0;
}

static void __exit tollgate_exit(void)
{
    tollgate_dev_exit();
    tollgate_tty_exit();
}

module_init(tollgate_init);
module_exit(tollgate_exit);
MODULE_DESCRIPTION("Console and calls of the Tollgate virtual machine monitor");
MODULE_AUTHOR("The Tollgate authors");
MODULE_LICENSE("Dual BSD/GPL");
