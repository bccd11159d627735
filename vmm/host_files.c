/* host_files.c: the real host's files. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library has no name for it yet. */
static int openat2(int dirfd, const char *path, int flags, unsigned mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = mode,
        .resolve = resolve,
    };
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

static int real_close(struct host *host, int fd)
{
    (void)host;
    return close(fd) < 0 ? -errno : 0;
}

static int real_probe(struct host *host)
{
    int fd = openat2(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0, RESOLVE_BENEATH);

    return fd < 0 ? fd : real_close(host, fd);
}

static int real_folder(struct host *host, const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)host;
    return fd < 0 ? -errno : fd;
}

static int real_open(struct host *host, int dirfd, const char *path, int flags, unsigned mode)
{
    /* Without O_NONBLOCK a pipe that somebody left there would wait for its other end. */
    int extra = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    (void)host;
    return openat2(dirfd, path, flags | extra, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

static ssize_t real_read(struct host *host, int fd, void *buf, size_t len)
{
    ssize_t n = read(fd, buf, len);

    (void)host;
    return n < 0 ? -errno : n;
}

static ssize_t real_write(struct host *host, int fd, const void *buf, size_t len)
{
    ssize_t n = write(fd, buf, len);

    (void)host;
    return n < 0 ? -errno : n;
}

static ssize_t real_pread(struct host *host, int fd, void *buf, size_t len, int64_t offset)
{
    ssize_t n = pread(fd, buf, len, offset);

    (void)host;
    return n < 0 ? -errno : n;
}

static ssize_t real_pwrite(struct host *host, int fd, const void *buf, size_t len,
                           int64_t offset)
{
    ssize_t n = pwrite(fd, buf, len, offset);

    (void)host;
    return n < 0 ? -errno : n;
}

static int64_t real_lseek(struct host *host, int fd, int64_t offset, int whence)
{
    int64_t at = lseek(fd, offset, whence);

    (void)host;
    return at < 0 ? -errno : at;
}

static int real_stat(struct host *host, int fd, struct host_stat *out)
{
    struct stat st;

    (void)host;
    if (fstat(fd, &st) < 0)
        return -errno;
    *out = (struct host_stat){
        .type = S_ISREG(st.st_mode)   ? HOST_FILE_REGULAR
                : S_ISDIR(st.st_mode) ? HOST_FILE_DIRECTORY
                                      : HOST_FILE_OTHER,
        .mode = st.st_mode & 07777,
        .size = (uint64_t)st.st_size,
        .mtime_ns =
            (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec,
    };
    return 0;
}

const struct host_file_ops host_files_real = {
    .probe = real_probe,
    .folder = real_folder,
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .lseek = real_lseek,
    .stat = real_stat,
};
