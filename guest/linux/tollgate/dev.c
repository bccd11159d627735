/* dev.c: /dev/tollgate: writes are log lines, reads tell about the monitor, an ioctl calls it.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "module.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include "guest/abi/tg.h"
#include "tollgate.h"

#define TEXT_SIZE 512

/* Where the buffer of a call stands, and which way it goes. */
enum buffer_way { BUFFER_NONE, BUFFER_IN, BUFFER_OUT };

struct call_shape {
    unsigned long extension;
    unsigned long function;
    enum buffer_way way;
    unsigned int first; /* the argument with the length */
};

/*
 * The calls that programs can make. Others are refused, so that no address that a program made
 * up reaches the monitor, which would write to whatever memory of this kernel lies there; a
 * batch's entries, and the string of tg.console.print, could hold one. tg.event.wait would keep
 * the hart from the kernel.
 */
static const struct call_shape call_shapes[] = {
    {TG_EXT_BASE,    TG_BASE_NULL,     BUFFER_NONE, 0},
    {TG_EXT_BASE,    TG_BASE_VERSION,  BUFFER_NONE, 0},
    {TG_EXT_BASE,    TG_BASE_SUPPORTS, BUFFER_NONE, 0},
    {TG_EXT_BASE,    TG_BASE_NAME,     BUFFER_OUT,  0},
    {TG_EXT_BASE,    TG_BASE_FEATURES, BUFFER_NONE, 0},
    {TG_EXT_EXIT,    TG_EXIT_STOP,     BUFFER_NONE, 0},
    {TG_EXT_CONSOLE, TG_CONSOLE_WRITE, BUFFER_IN,   0},
    {TG_EXT_CONSOLE, TG_CONSOLE_READ,  BUFFER_OUT,  0},
    {TG_EXT_CONSOLE, TG_CONSOLE_LOG,   BUFFER_IN,   1},
    {TG_EXT_CLOCK,   TG_CLOCK_NOW,     BUFFER_NONE, 0},
    {TG_EXT_FILES,   TG_FILES_OPENAT,  BUFFER_IN,   3},
    {TG_EXT_FILES,   TG_FILES_CLOSE,   BUFFER_NONE, 0},
    {TG_EXT_FILES,   TG_FILES_READ,    BUFFER_OUT,  1},
    {TG_EXT_FILES,   TG_FILES_WRITE,   BUFFER_IN,   1},
    {TG_EXT_FILES,   TG_FILES_PREAD,   BUFFER_OUT,  1},
    {TG_EXT_FILES,   TG_FILES_PWRITE,  BUFFER_IN,   1},
    {TG_EXT_FILES,   TG_FILES_LSEEK,   BUFFER_NONE, 0},
    {TG_EXT_FILES,   TG_FILES_FSTAT,   BUFFER_OUT,  1},
    {TG_EXT_ENTROPY, TG_ENTROPY_READ,  BUFFER_OUT,  0},
};

static const struct call_shape *shape_find(u64 extension, u64 function)
{
    for (size_t i = 0; i < ARRAY_SIZE(call_shapes); i++)
        if (call_shapes[i].extension == extension && call_shapes[i].function == function)
            return &call_shapes[i];
    return NULL;
}

/* Made with the copy as its buffer; what came into that goes back to the program. */
static int call_with_buffer(struct tollgate_call *call, const struct call_shape *shape,
                            const unsigned long arg[6])
{
    void __user *user = u64_to_user_ptr(call->buffer);
    struct sbiret ret;
    void *copy;
    int rc = 0;

    if (call->length == 0 || call->length > TOLLGATE_BUFFER_MAX)
        return -EINVAL;
    copy = shape->way == BUFFER_IN ? memdup_user(user, call->length)
                                   : kzalloc(call->length, GFP_KERNEL);
    if (IS_ERR_OR_NULL(copy))
        return copy ? PTR_ERR(copy) : -ENOMEM;
    ret = tollgate_call_buffer(shape->extension, shape->function, arg, shape->first, copy,
                               call->length);
    call->error = ret.error;
    call->value = ret.value;
    if (shape->way == BUFFER_OUT && copy_to_user(user, copy, call->length))
        rc = -EFAULT;
    kfree_sensitive(copy);
    return rc;
}

static int call_make(struct tollgate_call *call)
{
    const struct call_shape *shape = shape_find(call->extension, call->function);
    unsigned long arg[6];
    struct sbiret ret;

    if (!shape)
        return -EOPNOTSUPP;
    for (size_t i = 0; i < ARRAY_SIZE(arg); i++)
        arg[i] = call->arg[i];
    if (shape->way != BUFFER_NONE)
        return call_with_buffer(call, shape, arg);
    if (call->buffer || call->length)
        return -EINVAL;
    ret = tollgate_call(shape->extension, shape->function, arg);
    call->error = ret.error;
    call->value = ret.value;
    return 0;
}

static long dev_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
    struct tollgate_call __user *user = (struct tollgate_call __user *)argument;
    struct tollgate_call call;
    int rc;

    if (request != TOLLGATE_IOC_CALL)
        return -ENOTTY;
    /* The file may have come from another process, with fewer rights here. */
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (copy_from_user(&call, user, sizeof(call)))
        return -EFAULT;
    rc = call_make(&call);
    if (rc)
        return rc;
    return copy_to_user(user, &call, sizeof(call)) ? -EFAULT : 0;
}

/* What an open file has: what it reads, and of what it writes the line that has no end yet. */
struct dev_file {
    struct mutex lock; /* of what follows: processes may share the file */
    unsigned int level;
    bool inside; /* the line's first part, with its level, went out already */
    size_t n;
    char line[TG_LOG_MAX];
    char text[TEXT_SIZE];
};

/* Logs what stands in the line; "<N>" in front is its level, as in /dev/kmsg. */
static int line_log(struct dev_file *df, bool ends)
{
    const char *line = df->line;
    size_t len = df->n;
    unsigned long arg[6];

    if (!df->inside)
        df->level = TG_LOG_INFO;
    if (!df->inside && len >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' &&
        line[2] == '>') {
        df->level = line[1] - '0';
        line += 3;
        len -= 3;
    }
    memset(arg, 0, sizeof(arg));
    arg[0] = df->level;
    df->n = 0;
    df->inside = !ends;
    return tollgate_errno(
        tollgate_call_buffer(TG_EXT_CONSOLE, TG_CONSOLE_LOG, arg, 1, line, len));
}

/* The next piece of what is written, up to a line's end or as much as a line holds. */
static int piece_take(struct dev_file *df, const char __user *user, size_t count, size_t *taken)
{
    size_t room = min_t(size_t, count, TG_LOG_MAX - df->n);
    char *at = df->line + df->n, *end;

    if (copy_from_user(at, user, room))
        return -EFAULT;
    end = memchr(at, '\n', room);
    if (end) {
        if (end == df->line && df->inside) {
            df->inside = false;
            *taken = 1;
            return 0;
        }
        df->n = end - df->line;
        *taken = end - at + 1;
        return line_log(df, true);
    }
    df->n += room;
    *taken = room;
    return df->n == TG_LOG_MAX ? line_log(df, false) : 0;
}

/*
 * Each line of what is written is a log line; one longer than TG_LOG_MAX goes out in pieces.
 * What has no line end waits for the next write, or for the close. How many bytes went out is
 * told before an error is.
 */
static ssize_t dev_write(struct file *file, const char __user *user, size_t count, loff_t *at)
{
    struct dev_file *df = file->private_data;
    size_t done = 0, taken = 0;
    int rc = 0;

    if (mutex_lock_interruptible(&df->lock))
        return -ERESTARTSYS;
    while (done < count && !rc && !fatal_signal_pending(current)) {
        rc = piece_take(df, user + done, count - done, &taken);
        if (!rc)
            done += taken;
        cond_resched();
    }
    mutex_unlock(&df->lock);
    return done ? done : rc;
}

/* Each close, so that the program is told when the end of its text is refused. */
static int dev_flush(struct file *file, fl_owner_t id)
{
    struct dev_file *df = file->private_data;
    int rc = 0;

    mutex_lock(&df->lock);
    if (df->n)
        rc = line_log(df, true);
    df->inside = false;
    mutex_unlock(&df->lock);
    return rc;
}

static ssize_t dev_read(struct file *file, char __user *user, size_t count, loff_t *at)
{
    const struct dev_file *df = file->private_data;

    return simple_read_from_buffer(user, count, at, df->text, strlen(df->text));
}

static int dev_open(struct inode *inode, struct file *file)
{
    struct dev_file *df;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    df = kzalloc(sizeof(*df), GFP_KERNEL);
    if (!df)
        return -ENOMEM;
    mutex_init(&df->lock);
    if (file->f_mode & FMODE_READ)
        tollgate_describe(df->text, sizeof(df->text));
    file->private_data = df;
    return 0;
}

static int dev_release(struct inode *inode, struct file *file)
{
    kfree(file->private_data);
    return 0;
}

static const struct file_operations dev_operations = {
    .owner = THIS_MODULE,
    .open = dev_open,
    .release = dev_release,
    .read = dev_read,
    .write = dev_write,
    .flush = dev_flush,
    .unlocked_ioctl = dev_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .llseek = default_llseek,
};

static ssize_t version_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    struct sbiret ret = tollgate_base(TG_BASE_VERSION);
    int rc = tollgate_errno(ret);

    return rc ? rc
              : sysfs_emit(buf, "%lu.%lu\n", (unsigned long)ret.value >> 16,
                           (unsigned long)ret.value & 0xffff);
}
static DEVICE_ATTR_RO(version);

static ssize_t features_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    struct sbiret ret = tollgate_base(TG_BASE_FEATURES);
    int rc = tollgate_errno(ret);

    return rc ? rc : sysfs_emit(buf, "0x%lx\n", (unsigned long)ret.value);
}
static DEVICE_ATTR_RO(features);

static struct attribute *dev_attrs[] = {
    &dev_attr_version.attr,
    &dev_attr_features.attr,
    NULL,
};
ATTRIBUTE_GROUPS(dev);

static struct miscdevice dev_misc = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "tollgate",
    .fops = &dev_operations,
    .groups = dev_groups,
    .mode = 0600,
};

int tollgate_dev_init(void)
{
    return misc_register(&dev_misc);
}

void tollgate_dev_exit(void)
{
    misc_deregister(&dev_misc);
}
