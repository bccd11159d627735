/* main.c: a guest of the host file service and of batches: what they promise, and a race for
 * another file. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/guest/files.sh grants "open" (read, write) and "look" (read) and puts files there. With
 * "race" on the command line, hart 1 rewrites a path while hart 0 opens it a million times:
 * what is opened must be one of the two files that the path names when nobody is in the middle
 * of it, never the secret that lies beside the grant.
 */
#include "guest/abi/stubs.h"
#include "guest/abi/tg.h"
#include "guest/abi/tg_files.h"
#include "guest/abi/tg_multicall.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"

/* Before paging, a guest's addresses are guest-physical. */
static uint64_t gpa(const volatile void *p)
{
    return (uint64_t)p;
}

static struct tg_ret open_at(int64_t dirfd, const char *path, uint64_t flags)
{
    return tg_files_openat((uint64_t)dirfd, flags, flags & TG_O_CREAT ? 0644 : 0, strlen(path),
                           gpa(path), 0);
}

static bool text_is(const char *got, const char *want, uint64_t len)
{
    return len == strlen(want) && memcmp(got, want, len) == 0;
}

static void test_files(void)
{
    char got[64];
    uint64_t words[3];
    struct tg_ret r = open_at(TG_FILES_GRANTS, "look/book", TG_O_RDONLY);
    uint64_t fd = r.value;

    tap_ok(r.error == SBI_SUCCESS, "a granted file opens");
    r = tg_files_read(fd, sizeof(got), gpa(got), 0);
    tap_ok(r.error == SBI_SUCCESS && text_is(got, "read me\n", r.value), "and can be read");
    r = tg_files_write(fd, 1, gpa("x"), 0);
    tap_ok(r.error == SBI_ERR_INVALID_PARAM, "but not written");
    r = tg_files_fstat(fd, sizeof(words), gpa(words), 0);
    tap_ok(r.error == SBI_SUCCESS && words[TG_STAT_SIZE / 8] == 8, "its size is known");
    tap_ok(tg_files_close(fd).error == SBI_SUCCESS, "it closes");
    tap_ok(tg_files_close(fd).error == SBI_ERR_INVALID_PARAM, "once");
    tap_ok(open_at(TG_FILES_GRANTS, "look/book", TG_O_RDWR).error == SBI_ERR_DENIED,
           "what is granted for reading is not opened for writing");
    tap_ok(open_at(TG_FILES_GRANTS, "open/../secret", TG_O_RDONLY).error == SBI_ERR_DENIED,
           "no path leads out of a grant");
    tap_ok(open_at(TG_FILES_GRANTS, "open/link", TG_O_RDONLY).error == SBI_ERR_DENIED,
           "no link does");
    r = open_at(TG_FILES_GRANTS, "open/made", TG_O_RDWR | TG_O_CREAT | TG_O_TRUNC);
    fd = r.value;
    r = tg_files_write(fd, 14, gpa("from the guest"), 0);
    tap_ok(r.error == SBI_SUCCESS && r.value == 14, "a new file is written");
    r = tg_files_lseek(fd, 5, TG_SEEK_SET);
    tap_ok(r.error == SBI_SUCCESS && r.value == 5, "it can be positioned");
    r = tg_files_pread(fd, sizeof(got), gpa(got), 0, 9);
    tap_ok(text_is(got, "guest", r.value), "and read at an offset");
    tg_files_close(fd);
}

#define BATCH 32

/* A batch that writes a file in parts: each entry its own result. */
static void test_batch(void)
{
    static uint64_t entry[BATCH][TG_MULTICALL_BYTES / 8];
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    struct tg_ret r =
        open_at(TG_FILES_GRANTS, "open/batch", TG_O_RDWR | TG_O_CREAT | TG_O_TRUNC);
    uint64_t fd = r.value;
    bool good = true;

    for (unsigned i = 0; i < BATCH; i++) {
        memset(entry[i], 0, sizeof(entry[i]));
        entry[i][0] = TG_EXT_FILES;
        entry[i][1] = TG_FILES_PWRITE;
        entry[i][2] = fd;
        entry[i][3] = 1;
        entry[i][4] = gpa(&digits[i]);
        entry[i][6] = i;
    }
    r = tg_multicall_run(BATCH, gpa(entry), 0);
    tap_ok(r.error == SBI_SUCCESS && r.value == BATCH, "a batch of writes is made");
    for (unsigned i = 0; i < BATCH; i++)
        good = good && entry[i][TG_MULTICALL_ERROR / 8] == 0 &&
               entry[i][TG_MULTICALL_VALUE / 8] == 1;
    tap_ok(good, "each has its own result");
    tg_files_close(fd);
}

/* --- the race --- */

#define PATH_LEN 9

static char race_path[] = "open/aaaa";
static volatile bool race_over;
static const char race_names[3][5] = {"aaaa", "bbbb", "../s"};

/* Byte by byte, so that paths in between come about. */
static void rewrite(void *arg)
{
    volatile char *name = race_path + 5;

    (void)arg;
    for (unsigned i = 0; !race_over; i++) {
        for (unsigned j = 0; j < 4; j++)
            name[j] = race_names[i % 3][j];
    }
}

static void test_race(uint64_t rounds)
{
    uint64_t opened = 0, wrong = 0, refused = 0;
    char got[8];

    if (hart_count() < 2) {
        tap_skip("one hart", "a path that is rewritten");
        return;
    }
    tap_ok(hart_launch(1, rewrite, NULL) == SBI_SUCCESS, "the rewriter starts");
    /* On a busy host the rewriter may sleep in the middle of a name for all of a short race. */
    for (uint64_t i = 0; i < rounds || opened == 0; i++) {
        struct tg_ret r = tg_files_openat((uint64_t)TG_FILES_GRANTS, TG_O_RDONLY, 0, PATH_LEN,
                                          gpa(race_path), 0);

        if (r.error != SBI_SUCCESS) {
            refused++;
            continue;
        }
        opened++;
        struct tg_ret n = tg_files_read(r.value, 4, gpa(got), 0);
        wrong += n.value != 4 || (memcmp(got, "AAAA", 4) != 0 && memcmp(got, "BBBB", 4) != 0);
        tg_files_close(r.value);
    }
    race_over = true;
    hart_await(1, SBI_HSM_STOPPED);
    print("# %lu opened, %lu refused, %lu wrong\n", opened, refused, wrong);
    tap_ok(opened + refused >= rounds && opened > 0, "%lu paths that change are looked up",
           rounds);
    tap_ok(wrong == 0, "none leads to a file that it does not name");
}

int guest_main(const void *dtb)
{
    tap_begin();
    if (fdt_bootarg(dtb, "race")) {
        test_race(1000000);
    } else if (fdt_bootarg(dtb, "race-short")) {
        test_race(5000);
    } else {
        test_files();
        test_batch();
    }
    tap_leave();
}
