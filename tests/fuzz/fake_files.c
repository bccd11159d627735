/* fake_files.c: a few files in memory for fuzzed guests, with failures that come in their turn.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/fuzz/fake.h"

/* Numbers that no real descriptor has: a service that mixed the two up would be found out. */
#define FOLDER_FD 5000
#define OPEN_FD   6000

/* What is there before each input. */
static const struct {
    const char *path;
    enum host_file_type type;
    uint16_t size;
} begin[] = {
    {"",    HOST_FILE_DIRECTORY, 0  },
    {"d",   HOST_FILE_DIRECTORY, 0  },
    {"x",   HOST_FILE_REGULAR,   100},
    {"d/z", HOST_FILE_REGULAR,   0  },
    {"f",   HOST_FILE_REGULAR,   16 },
    {"p",   HOST_FILE_OTHER,     0  },
};
#define BEGIN (sizeof(begin) / sizeof(begin[0]))

_Static_assert(BEGIN < FAKE_NODES, "a guest can make files");

static struct fake_files *files_of(struct host *host)
{
    return &((struct fake *)host)->files;
}

/* An error now and then: the same ones for each input. */
static int trouble(struct fake_files *files, int other)
{
    unsigned turn = ++files->turn;

    if (turn % 7 == 5)
        return -EINTR;
    if (turn % 19 == 11)
        return -EIO;
    return turn % 23 == 13 ? other : 0;
}

/* An open file by its number: a service has no business with any other. */
static struct fake_open *open_of(struct fake_files *files, int fd)
{
    if (fd < OPEN_FD || fd >= OPEN_FD + FAKE_OPEN_MAX || !files->open[fd - OPEN_FD].used)
        abort();
    return &files->open[fd - OPEN_FD];
}

static int fake_probe(struct host *host)
{
    (void)host;
    return 0;
}

/* Two of what policy grants are folders, one is a file. */
static int fake_folder(struct host *host, const char *path)
{
    struct fake_files *files = files_of(host);

    if (strcmp(path, "granted/f") == 0)
        return -ENOTDIR;
    if (strncmp(path, "granted", strlen("granted")) != 0)
        return -ENOENT;
    files->folders++;
    return FOLDER_FD;
}

/* A path without ".", ".." and what "/" is too many, or -errno: none leads out. */
static int path_plain(const char *path, char plain[FAKE_PATH])
{
    size_t len = 0;

    plain[0] = '\0';
    while (*path != '\0') {
        size_t n = strcspn(path, "/");

        if (n == 2 && memcmp(path, "..", 2) == 0) {
            if (len == 0)
                return -EXDEV;
            while (len > 0 && plain[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && *path == '.')) {
            if (len + n + 2 > FAKE_PATH)
                return -ENAMETOOLONG;
            if (len > 0)
                plain[len++] = '/';
            memcpy(plain + len, path, n);
            len += n;
        }
        plain[len] = '\0';
        path += n + (path[n] == '/');
    }
    return 0;
}

static struct fake_node *node_find(struct fake_files *files, const char *path)
{
    for (unsigned i = 0; i < FAKE_NODES; i++)
        if (files->node[i].used && strcmp(files->node[i].path, path) == 0)
            return &files->node[i];
    return NULL;
}

static int node_make(struct fake_files *files, const char *path, struct fake_node **node)
{
    const char *slash = strrchr(path, '/');
    char folder[FAKE_PATH] = "";
    const struct fake_node *in;

    if (slash)
        memcpy(folder, path, (size_t)(slash - path));
    in = node_find(files, folder);
    if (!in || in->type != HOST_FILE_DIRECTORY)
        return in ? -ENOTDIR : -ENOENT;
    for (unsigned i = 0; i < FAKE_NODES; i++) {
        if (files->node[i].used)
            continue;
        *node = &files->node[i];
        **node = (struct fake_node){.used = true, .type = HOST_FILE_REGULAR};
        memcpy((*node)->path, path, strlen(path) + 1);
        return 0;
    }
    return -ENOSPC;
}

static int node_open(struct fake_files *files, const char *path, int flags,
                     struct fake_node **node)
{
    bool write = (flags & O_ACCMODE) != O_RDONLY;

    *node = node_find(files, path);
    if (!*node)
        return flags & O_CREAT ? node_make(files, path, node) : -ENOENT;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if ((flags & O_DIRECTORY) && (*node)->type != HOST_FILE_DIRECTORY)
        return -ENOTDIR;
    if ((write || (flags & (O_CREAT | O_TRUNC))) && (*node)->type == HOST_FILE_DIRECTORY)
        return -EISDIR;
    if ((flags & O_TRUNC) && (*node)->type == HOST_FILE_REGULAR)
        (*node)->size = 0;
    return 0;
}

/* What the service promises: a path that is relative, and flags that were made from the
 * guest's.
 */
static int fake_open(struct host *host, int dirfd, const char *path, int flags, unsigned mode)
{
    struct fake_files *files = files_of(host);
    char plain[FAKE_PATH];
    struct fake_node *node;
    int rc = trouble(files, -EAGAIN);

    if (dirfd != FOLDER_FD || path[0] == '/' || path[0] == '\0' || mode > 0777 ||
        (flags & ~(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY)))
        abort();
    if (rc == 0)
        rc = path_plain(path, plain);
    if (rc == 0)
        rc = node_open(files, plain, flags, &node);
    if (rc != 0)
        return rc;
    for (int i = 0; i < FAKE_OPEN_MAX; i++) {
        if (files->open[i].used)
            continue;
        files->open[i] = (struct fake_open){.used = true, .node = node, .flags = flags};
        files->opened++;
        return OPEN_FD + i;
    }
    return -EMFILE;
}

/* It is closed, whatever this says. */
static int fake_close(struct host *host, int fd)
{
    struct fake_files *files = files_of(host);
    int rc = trouble(files, -ENOSPC);

    if (fd == FOLDER_FD && files->folders > 0) {
        files->folders--;
        return 0;
    }
    open_of(files, fd)->used = false;
    files->opened--;
    return rc == -EINTR ? 0 : rc;
}

/* How much is transferred this time: less than was asked for, now and then. */
static size_t part_of(const struct fake_files *files, size_t len)
{
    return files->turn % 5 == 3 && len > 1 ? len / 2 : len;
}

static ssize_t fake_pread(struct host *host, int fd, void *buf, size_t len, int64_t offset)
{
    struct fake_files *files = files_of(host);
    const struct fake_node *node = open_of(files, fd)->node;
    int rc = trouble(files, -EAGAIN);

    if (offset < 0)
        abort();
    if (rc != 0)
        return rc;
    if ((uint64_t)offset >= node->size)
        return 0;
    len = len < node->size - (size_t)offset ? len : node->size - (size_t)offset;
    len = part_of(files, len);
    memcpy(buf, node->data + offset, len);
    return (ssize_t)len;
}

static ssize_t fake_pwrite(struct host *host, int fd, const void *buf, size_t len,
                           int64_t offset)
{
    struct fake_files *files = files_of(host);
    struct fake_open *open = open_of(files, fd);
    struct fake_node *node = open->node;
    int rc = trouble(files, -ENOSPC);

    if (offset < 0 || (open->flags & O_ACCMODE) == O_RDONLY)
        abort();
    if (rc != 0)
        return rc;
    if ((uint64_t)offset >= FAKE_SIZE)
        return len == 0 ? 0 : -EFBIG;
    len = len < FAKE_SIZE - (size_t)offset ? len : FAKE_SIZE - (size_t)offset;
    len = part_of(files, len);
    if ((size_t)offset > node->size)
        memset(node->data + node->size, 0, (size_t)offset - node->size);
    memcpy(node->data + offset, buf, len);
    if ((size_t)offset + len > node->size)
        node->size = (size_t)offset + len;
    return (ssize_t)len;
}

static ssize_t fake_read(struct host *host, int fd, void *buf, size_t len)
{
    struct fake_open *open = open_of(files_of(host), fd);
    ssize_t n = fake_pread(host, fd, buf, len, open->at);

    open->at += n > 0 ? n : 0;
    return n;
}

static ssize_t fake_write(struct host *host, int fd, const void *buf, size_t len)
{
    struct fake_open *open = open_of(files_of(host), fd);
    int64_t at = open->flags & O_APPEND ? (int64_t)open->node->size : open->at;
    ssize_t n = fake_pwrite(host, fd, buf, len, at);

    open->at = n > 0 ? at + n : open->at;
    return n;
}

static int64_t fake_lseek(struct host *host, int fd, int64_t offset, int whence)
{
    struct fake_open *open = open_of(files_of(host), fd);
    int64_t from = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? open->at
                                        : (int64_t)open->node->size;

    if (__builtin_add_overflow(from, offset, &from))
        return -EOVERFLOW;
    if (from < 0)
        return -EINVAL;
    return open->at = from;
}

static int fake_stat(struct host *host, int fd, struct host_stat *st)
{
    struct fake_files *files = files_of(host);
    const struct fake_node *node = open_of(files, fd)->node;
    int rc = trouble(files, -EIO);

    *st = (struct host_stat){.type = node->type, .mode = 0644, .size = node->size};
    return rc == -EINTR ? 0 : rc;
}

const struct host_file_ops fake_file_ops = {
    .probe = fake_probe,
    .folder = fake_folder,
    .open = fake_open,
    .close = fake_close,
    .read = fake_read,
    .write = fake_write,
    .pread = fake_pread,
    .pwrite = fake_pwrite,
    .lseek = fake_lseek,
    .stat = fake_stat,
};

void fake_files_reset(struct fake *fake)
{
    struct fake_files *files = &fake->files;

    if (files->opened != 0)
        abort(); /* the service has closed them when it was reset */
    files->turn = 0;
    for (unsigned i = 0; i < FAKE_NODES; i++) {
        struct fake_node *node = &files->node[i];

        node->used = i < BEGIN;
        if (!node->used)
            continue;
        strcpy(node->path, begin[i].path);
        node->type = begin[i].type;
        node->size = begin[i].size;
        memset(node->data, 'a' + (int)i, node->size);
    }
}
