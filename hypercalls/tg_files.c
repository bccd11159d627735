/* tg_files.c: files of the host, beneath the folders that policy grants. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg_files.h"
#include "hypercalls/calls/tg_files.h"
#include "hypercalls/tg.h"
#include "vmm/call_error.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/policy.h"
#include "vmm/vm.h"

/*
 * A path below a grant, whichever folder it was given from, so that a file can be opened anew
 * when a state is loaded.
 */
#define PLACE_MAX 4096u

/* A folder or file that policy grants. */
struct grant {
    const struct policy_grant *policy;
    int folder;       /* the granted one, or that of the file */
    const char *file; /* its name there; NULL: the grant is the folder */
};

struct file {
    bool used;
    bool closing; /* closed while others are at it: the last one closes the host's */
    unsigned users;
    int fd;
    int flags; /* of open, as the host has them */
    bool directory;
    const struct grant *grant;
    char *place; /* path below the grant's folder */
};

struct files {
    struct host *host;
    struct vm *vm;
    struct grant *grant;
    size_t ngrants;
    pthread_mutex_t lock; /* of the table; never held over a call to the host */
    struct file file[TG_FILES_OPEN_MAX];
};

static const struct host_file_ops *ops_of(const struct files *files)
{
    return files->host->files;
}

/* --- the table --- */

/* The open file of this number, held against being closed; NULL: there is none. */
static struct file *file_take(struct files *files, uint64_t number)
{
    struct file *file = NULL;

    pthread_mutex_lock(&files->lock);
    if (number < TG_FILES_OPEN_MAX && files->file[number].used &&
        !files->file[number].closing) {
        file = &files->file[number];
        file->users++;
    }
    pthread_mutex_unlock(&files->lock);
    return file;
}

/* Ends file_take; what the host says when this was the close. */
static int file_drop(struct files *files, struct file *file)
{
    int fd = -1;
    char *place = NULL;

    pthread_mutex_lock(&files->lock);
    if (--file->users == 0 && file->closing) {
        fd = file->fd;
        place = file->place;
        *file = (struct file){0};
    }
    pthread_mutex_unlock(&files->lock);
    free(place);
    return fd < 0 ? 0 : ops_of(files)->close(files->host, fd);
}

/* A number for an open file, which then owns `place`; -EMFILE. */
static int file_enter(struct files *files, const struct file *open)
{
    int number = -EMFILE;

    pthread_mutex_lock(&files->lock);
    for (int i = 0; i < TG_FILES_OPEN_MAX && number < 0; i++) {
        if (!files->file[i].used) {
            files->file[i] = *open;
            files->file[i].used = true;
            number = i;
        }
    }
    pthread_mutex_unlock(&files->lock);
    return number;
}

/* --- opening --- */

/* The host's flags, or -1 when a bit has no meaning. */
static int flags_of(uint64_t flags)
{
    static const struct {
        unsigned guest;
        int host;
    } bits[] = {
        {TG_O_CREAT,     O_CREAT    },
        {TG_O_EXCL,      O_EXCL     },
        {TG_O_TRUNC,     O_TRUNC    },
        {TG_O_APPEND,    O_APPEND   },
        {TG_O_DIRECTORY, O_DIRECTORY},
    };
    static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, -1};
    int host = access[flags & 3];

    if (host < 0)
        return -1;
    flags &= ~UINT64_C(3);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        if (flags & bits[i].guest)
            host |= bits[i].host;
        flags &= ~(uint64_t)bits[i].guest;
    }
    return flags == 0 ? host : -1;
}

static bool grant_allows(const struct grant *grant, int flags)
{
    int access = flags & O_ACCMODE;

    if (access != O_WRONLY && !grant->policy->read && !(flags & O_DIRECTORY))
        return false;
    return grant->policy->write || (access == O_RDONLY && !(flags & (O_CREAT | O_TRUNC)));
}

static struct grant *grant_find(struct files *files, const char *name, size_t len)
{
    for (size_t i = 0; i < files->ngrants; i++) {
        const char *granted = files->grant[i].policy->name;

        if (strlen(granted) == len && memcmp(granted, name, len) == 0)
            return &files->grant[i];
    }
    return NULL;
}

/*
 * Where a path leads: fills open->grant and open->place. The folder's own place comes before a
 * path that is relative to an open folder, so that every path is resolved from the grant.
 */
static int place_find(struct files *files, int64_t dirfd, const char *path, struct file *open)
{
    struct file *folder;
    int n = -1;

    if (dirfd == TG_FILES_GRANTS) {
        size_t len = strcspn(path, "/");
        struct grant *grant = grant_find(files, path, len);

        if (!grant)
            return -ENOENT;
        path += len + strspn(path + len, "/"); /* one that begins with it would lead out */
        if (grant->file && path[0] != '\0')
            return -ENOTDIR;
        open->grant = grant;
        n = asprintf(&open->place, "%s",
                     grant->file       ? grant->file
                     : path[0] != '\0' ? path
                                       : ".");
    } else {
        folder = file_take(files, (uint64_t)dirfd);
        if (!folder)
            return -EBADF;
        open->grant = folder->grant;
        if (folder->directory)
            n = asprintf(&open->place, "%s/%s", folder->place, path);
        bool directory = folder->directory;
        file_drop(files, folder);
        if (!directory)
            return -ENOTDIR;
    }
    if (n < 0) {
        open->place = NULL;
        return -ENOMEM;
    }
    return n < (int)PLACE_MAX ? 0 : -ENAMETOOLONG;
}

/* Renames that never stop could keep us for ever; the guest may try again. */
#define OPEN_TRIES 16

static int place_open(struct files *files, struct file *open, unsigned mode)
{
    struct host_stat st;
    int fd = -EAGAIN, rc;

    for (unsigned i = 0; i < OPEN_TRIES && (fd == -EAGAIN || fd == -EINTR); i++)
        fd = ops_of(files)->open(files->host, open->grant->folder, open->place, open->flags,
                                 mode);
    if (fd < 0)
        return fd;
    rc = ops_of(files)->stat(files->host, fd, &st);
    /* Pipes, sockets and devices are no files in the sense of this service: they may wait. */
    if (rc == 0 && st.type == HOST_FILE_OTHER)
        rc = -EACCES;
    if (rc != 0) {
        ops_of(files)->close(files->host, fd);
        return rc;
    }
    open->fd = fd;
    open->directory = st.type == HOST_FILE_DIRECTORY;
    return 0;
}

static int path_open(struct files *files, int64_t dirfd, const char *path, int flags,
                     unsigned mode)
{
    struct file open = {.fd = -1, .flags = flags};
    int rc = place_find(files, dirfd, path, &open);

    if (rc == 0 && !grant_allows(open.grant, flags))
        rc = -EACCES;
    if (rc == 0)
        rc = place_open(files, &open, mode);
    if (rc == 0) {
        rc = file_enter(files, &open);
        if (rc >= 0)
            return rc;
        ops_of(files)->close(files->host, open.fd);
    }
    free(open.place);
    return rc;
}

/* --- calls --- */

static enum call_disp result(struct call *c, int64_t n)
{
    return n < 0 ? call_host_failed(c, (int)n) : tg_value(c, (uint64_t)n);
}

static enum call_disp tg_files_openat(void *self, struct hart *hart, struct call *c)
{
    int flags = flags_of(c->arg[1]);
    char path[TG_FILES_PATH_MAX + 1];

    (void)hart;
    if (flags < 0 || c->arg[2] > 0777 || c->buf_len == 0 || c->arg[3] > TG_FILES_PATH_MAX ||
        c->buf[0] == '/' || memchr(c->buf, '\0', c->buf_len))
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    memcpy(path, c->buf, c->buf_len);
    path[c->buf_len] = '\0';
    return result(c, path_open(self, (int64_t)c->arg[0], path, flags,
                               flags & O_CREAT ? (unsigned)c->arg[2] : 0));
}

static enum call_disp tg_files_close(void *self, struct hart *hart, struct call *c)
{
    struct files *files = self;
    struct file *file = file_take(files, c->arg[0]);

    (void)hart;
    if (!file)
        return call_host_failed(c, -EBADF);
    pthread_mutex_lock(&files->lock);
    file->closing = true;
    pthread_mutex_unlock(&files->lock);
    return result(c, file_drop(files, file));
}

/* May the file be read, or written? The host would say so too; a folder, it would not. */
static int access_check(const struct file *file, bool write)
{
    int access = file->flags & O_ACCMODE;

    if (file->directory)
        return -EISDIR;
    return access == O_RDWR || access == (write ? O_WRONLY : O_RDONLY) ? 0 : -EBADF;
}

/* Reads or writes at an offset, or with `at` below 0 where the file stands. */
static int64_t transfer(struct files *files, struct file *file, struct call *c, bool write,
                        int64_t at)
{
    const struct host_file_ops *ops = ops_of(files);
    ssize_t n = access_check(file, write);

    if (n != 0)
        return n;
    do {
        if (write)
            n = at < 0 ? ops->write(files->host, file->fd, c->buf, c->buf_len)
                       : ops->pwrite(files->host, file->fd, c->buf, c->buf_len, at);
        else
            n = at < 0 ? ops->read(files->host, file->fd, c->buf, c->buf_len)
                       : ops->pread(files->host, file->fd, c->buf, c->buf_len, at);
    } while (n == -EINTR && !files->vm->stopping);
    return n;
}

static enum call_disp file_transfer(struct files *files, struct call *c, bool write, int64_t at)
{
    struct file *file = file_take(files, c->arg[0]);
    int64_t n;

    if (!file)
        return call_host_failed(c, -EBADF);
    n = transfer(files, file, c, write, at);
    file_drop(files, file);
    return result(c, n);
}

static enum call_disp tg_files_read(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    return file_transfer(self, c, false, -1);
}

static enum call_disp tg_files_write(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    return file_transfer(self, c, true, -1);
}

static enum call_disp tg_files_pread(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    if (c->arg[4] > INT64_MAX)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    return file_transfer(self, c, false, (int64_t)c->arg[4]);
}

static enum call_disp tg_files_pwrite(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    if (c->arg[4] > INT64_MAX)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    return file_transfer(self, c, true, (int64_t)c->arg[4]);
}

static enum call_disp tg_files_lseek(void *self, struct hart *hart, struct call *c)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    struct files *files = self;
    struct file *file;
    int64_t at = -EISDIR;

    (void)hart;
    if (c->arg[2] > TG_SEEK_END)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    file = file_take(files, c->arg[0]);
    if (!file)
        return call_host_failed(c, -EBADF);
    if (!file->directory)
        at =
            ops_of(files)->lseek(files->host, file->fd, (int64_t)c->arg[1], whences[c->arg[2]]);
    file_drop(files, file);
    return result(c, at);
}

static void word_put(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static enum call_disp tg_files_fstat(void *self, struct hart *hart, struct call *c)
{
    struct files *files = self;
    struct file *file;
    struct host_stat st;
    int rc;

    (void)hart;
    if (c->arg[1] < TG_STAT_BYTES)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    file = file_take(files, c->arg[0]);
    if (!file)
        return call_host_failed(c, -EBADF);
    rc = ops_of(files)->stat(files->host, file->fd, &st);
    file_drop(files, file);
    if (rc < 0)
        return call_host_failed(c, rc);
    word_put(c->buf + TG_STAT_SIZE, st.size);
    word_put(c->buf + TG_STAT_MTIME, st.mtime_ns);
    word_put(c->buf + TG_STAT_MODE,
             st.mode | (st.type == HOST_FILE_DIRECTORY ? TG_STAT_DIRECTORY : 0));
    return tg_value(c, TG_STAT_BYTES);
}

/* --- the module --- */

static int files_create(struct module_instance *inst, struct error *err)
{
    struct host *host = inst->vm->host;
    struct files *files;
    int rc = host->files ? host->files->probe(host) : -ENOSYS;

    if (rc != 0) {
        error_set(err, STATUS_UNAVAILABLE,
                  "tg-files: this host cannot open files beneath a folder (openat2): %s",
                  strerror(-rc));
        return -ENODEV;
    }
    files = calloc(1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    files->host = host;
    files->vm = inst->vm;
    pthread_mutex_init(&files->lock, NULL);
    inst->self = files;
    return 0;
}

static int grant_open(struct files *files, struct grant *grant, struct error *err)
{
    const char *path = grant->policy->path, *slash = strrchr(path, '/');
    char *folder;

    grant->folder = ops_of(files)->folder(files->host, path);
    if (grant->folder == -ENOTDIR) { /* a file: its folder, and its name there */
        folder =
            slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
        grant->file = slash ? slash + 1 : path;
        grant->folder = folder ? ops_of(files)->folder(files->host, folder) : -ENOMEM;
        free(folder);
    }
    if (grant->folder >= 0)
        return 0;
    error_set(
        err, STATUS_NO_INPUT,
        "--policy: line %u: cannot grant '%.200s': %s; name a folder or file that is there",
        grant->policy->line, path, strerror(-grant->folder));
    return grant->folder;
}

/* The policy is frozen: what it grants is opened, once and for all. */
static int files_ready(void *self, struct error *err)
{
    struct files *files = self;
    size_t n;
    const struct policy_grant *granted = policy_files(files->vm, &n);
    int rc = 0;

    if (n == 0)
        return 0;
    files->grant = calloc(n, sizeof(*files->grant));
    if (!files->grant)
        return -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        files->grant[i].policy = &granted[i];
        rc = grant_open(files, &files->grant[i], err);
        files->ngrants += rc == 0;
    }
    return rc;
}

static void files_close_all(struct files *files)
{
    for (unsigned i = 0; i < TG_FILES_OPEN_MAX; i++) {
        struct file *file = &files->file[i];

        if (!file->used)
            continue;
        ops_of(files)->close(files->host, file->fd);
        free(file->place);
        *file = (struct file){0};
    }
}

/* No file is open. No hart is in a call. */
static void files_reset(void *self)
{
    files_close_all(self);
}

static void files_destroy(void *self)
{
    struct files *files = self;

    files_close_all(files);
    for (size_t i = 0; i < files->ngrants; i++)
        ops_of(files)->close(files->host, files->grant[i].folder);
    free(files->grant);
    pthread_mutex_destroy(&files->lock);
    free(files);
}

/* Open files by what they were opened by, and where they stand; their contents are the host's.
 */
static void files_save(void *self, struct state_writer *w)
{
    struct files *files = self;

    for (unsigned i = 0; i < TG_FILES_OPEN_MAX; i++) {
        const struct file *file = &files->file[i];
        int64_t at = 0;

        state_put_u64(w, file->used);
        if (!file->used)
            continue;
        if (!file->directory)
            at = ops_of(files)->lseek(files->host, file->fd, 0, SEEK_CUR);
        state_put_u64(w, (uint64_t)(file->grant - files->grant));
        state_put_u64(w, (uint64_t)file->flags);
        state_put_u64(w, at < 0 ? 0 : (uint64_t)at);
        state_put_u64(w, strlen(file->place));
        state_put(w, file->place, strlen(file->place));
    }
}

/* The file of the state, opened as it was but neither made nor emptied again. */
static int file_load(struct files *files, struct file *file, struct state_reader *r)
{
    uint64_t grant = state_get_max(r, files->ngrants ? files->ngrants - 1 : 0);
    int flags = (int)state_get_max(r, INT32_MAX);
    int64_t at = (int64_t)state_get_max(r, INT64_MAX);
    uint64_t len = state_get_max(r, PLACE_MAX - 1);
    char place[PLACE_MAX] = "";
    struct file open = {.fd = -1, .flags = flags & (O_ACCMODE | O_APPEND | O_DIRECTORY)};
    int rc;

    state_get(r, place, len);
    if (r->error != 0 || files->ngrants == 0 || place[0] == '/' || strlen(place) != len)
        return -EINVAL;
    open.grant = &files->grant[grant];
    if (!grant_allows(open.grant, open.flags) ||
        (open.grant->file && strcmp(open.grant->file, place) != 0))
        return -EACCES;
    open.place = strdup(place);
    rc = open.place ? place_open(files, &open, 0) : -ENOMEM;
    if (rc != 0) {
        free(open.place);
        return rc;
    }
    open.used = true;
    *file = open;
    if (!open.directory && ops_of(files)->lseek(files->host, open.fd, at, SEEK_SET) < 0)
        return -EIO;
    return 0;
}

static void files_load(void *self, struct state_reader *r)
{
    struct files *files = self;

    files_close_all(files);
    for (unsigned i = 0; i < TG_FILES_OPEN_MAX && r->error == 0; i++) {
        if (state_get_max(r, 1) == 0)
            continue;
        int rc = file_load(files, &files->file[i], r);
        if (rc != 0 && r->error == 0)
            r->error = rc;
    }
}

const struct module module_tg_files = {
    .name = "tg-files",
    .summary = "host files beneath the folders that policy grants",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .calls = tg_files_calls,
    .ncalls = sizeof(tg_files_calls) / sizeof(tg_files_calls[0]),
    .create = files_create,
    .ready = files_ready,
    .reset = files_reset,
    .save = files_save,
    .load = files_load,
    .destroy = files_destroy,
};
