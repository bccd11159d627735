/* keep.c: what a run leaves in a folder, for `tollgate diff` to compare with another. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vmm/observe.h"
#include "vmm/report.h"
#include "vmm/vm.h"

struct keep {
    char *report, *trace, *console, *memory;
    FILE *copy; /* of the console */
};

static char *path_join(const char *dir, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

void keep_free(struct keep *keep)
{
    if (!keep)
        return;
    if (keep->copy)
        fclose(keep->copy);
    free(keep->report);
    free(keep->trace);
    free(keep->console);
    free(keep->memory);
    free(keep);
}

/* 1: nothing is in it. */
static int dir_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int empty = 1;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = 0;
    }
    closedir(dir);
    return empty;
}

static int dir_make(const char *dir, struct error *err)
{
    int rc;

    if (mkdir(dir, 0777) == 0)
        return 0;
    rc = errno == EEXIST ? dir_is_empty(dir) : -errno;
    if (rc == 1)
        return 0;
    return error_set(err, STATUS_CANT_CREATE, "--keep: cannot use '%.200s': %s", dir,
                     rc == 0 ? "something is in it; give a folder that is empty or not there"
                             : strerror(-rc));
}

int keep_begin(struct keep **out, const char *dir, struct vm_config *config, struct error *err)
{
    struct keep *keep = calloc(1, sizeof(*keep));
    int rc = dir_make(dir, err);

    if (rc != 0 || !keep) {
        free(keep);
        return rc != 0 ? rc : error_set(err, STATUS_OS, "--keep: no memory");
    }
    keep->report = path_join(dir, KEEP_REPORT);
    keep->trace = path_join(dir, KEEP_TRACE);
    keep->console = path_join(dir, KEEP_CONSOLE);
    keep->memory = path_join(dir, KEEP_MEMORY);
    if (!keep->report || !keep->trace || !keep->console || !keep->memory)
        rc = error_set(err, STATUS_OS, "--keep: no memory");
    if (rc == 0) {
        keep->copy = fopen(keep->console, "we");
        if (!keep->copy)
            rc = error_set(err, STATUS_CANT_CREATE, "--keep: cannot write '%.200s': %s",
                           keep->console, strerror(errno));
    }
    if (rc != 0) {
        keep_free(keep);
        return rc;
    }
    config->trace |= WATCH_CALLS | WATCH_MMIO;
    config->trace_file = keep->trace;
    config->console_copy = keep->copy;
    *out = keep;
    return 0;
}

static bool page_is_zero(const uint8_t *page, size_t size)
{
    return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static int slot_write(int fd, const struct mem_slot *slot, uint64_t offset)
{
    for (uint64_t at = 0; at < slot->size; at += MEM_PAGE_SIZE) {
        if (page_is_zero(slot->host + at, MEM_PAGE_SIZE))
            continue;
        ssize_t n = pwrite(fd, slot->host + at, MEM_PAGE_SIZE, (off_t)(offset + at));
        if (n != (ssize_t)MEM_PAGE_SIZE)
            return n < 0 ? -errno : -ENOSPC;
    }
    return 0;
}

static int memory_write(const char *path, const struct mem *mem)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int rc = fd < 0 ? -errno : 0;

    /* The first slot is the guest's RAM. */
    if (rc == 0 && ftruncate(fd, (off_t)mem->slot[0].size) != 0)
        rc = -errno;
    if (rc == 0)
        rc = slot_write(fd, &mem->slot[0], 0);
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = -errno;
    return rc;
}

int keep_end(struct keep *keep, struct vm *vm, struct error *err)
{
    int rc = report_write(vm, keep->report, err);

    if (rc != 0)
        return rc;
    if (fflush(keep->copy) != 0 || ferror(keep->copy))
        return error_set(err, STATUS_CANT_CREATE, "--keep: cannot write '%.200s'",
                         keep->console);
    rc = memory_write(keep->memory, &vm->mem);
    if (rc != 0)
        error_set(err, STATUS_CANT_CREATE, "--keep: cannot write '%.200s': %s", keep->memory,
                  strerror(-rc));
    return rc;
}
