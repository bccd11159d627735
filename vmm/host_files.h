/* host_files.h: the host's files, as services reach them for a guest. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_HOST_FILES_H
#define VMM_HOST_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct host;

enum host_file_type { HOST_FILE_REGULAR, HOST_FILE_DIRECTORY, HOST_FILE_OTHER };

struct host_stat {
    enum host_file_type type;
    uint32_t mode;     /* permission bits */
    uint64_t size;     /* bytes */
    uint64_t mtime_ns; /* since 1970-01-01 UTC */
};

/*
 * Part of the only door to the operating system (host.h). Errors are returned as -errno; EINTR
 * is the caller's to retry. Flags and modes are the host's (fcntl.h).
 */
struct host_file_ops {
    /* Can paths be resolved beneath a folder (openat2, Linux 5.6)? 0 or -errno. */
    int (*probe)(struct host *host);
    /* A descriptor by which a folder is named, and nothing else done with it. */
    int (*folder)(struct host *host, const char *path);
    /*
     * Opens `path` beneath the folder dirfd: no "..", link or mount point leads out of it,
     * whatever is renamed meanwhile; -EXDEV when one would. Never waits for another process.
     * -EAGAIN: a rename came in between; try again.
     */
    int (*open)(struct host *host, int dirfd, const char *path, int flags, unsigned mode);
    int (*close)(struct host *host, int fd);
    ssize_t (*read)(struct host *host, int fd, void *buf, size_t len);
    ssize_t (*write)(struct host *host, int fd, const void *buf, size_t len);
    ssize_t (*pread)(struct host *host, int fd, void *buf, size_t len, int64_t offset);
    ssize_t (*pwrite)(struct host *host, int fd, const void *buf, size_t len, int64_t offset);
    int64_t (*lseek)(struct host *host, int fd, int64_t offset, int whence);
    int (*stat)(struct host *host, int fd, struct host_stat *st);
};

/* The real ones. */
extern const struct host_file_ops host_files_real;

#endif
