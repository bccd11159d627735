/* tgcall.c: a program for a Linux guest: makes one of Tollgate's calls through /dev/tollgate.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest/linux/tollgate/tollgate.h"

/*
 *     tgcall [-i TEXT | -o BYTES] EXTENSION FUNCTION [ARGUMENT]...
 *
 * -i: the call takes TEXT as its buffer. -o: it fills a buffer of BYTES, which is printed.
 * Prints "error E value V". Exit status: 0 the call was made, 1 it was not (with the reason), 2
 * wrong usage.
 */

#define CALL_ARGS 6

static int usage(void)
{
    fputs("usage: tgcall [-i TEXT | -o BYTES] EXTENSION FUNCTION [ARGUMENT]...\n", stderr);
    return 2;
}

static int number(const char *text, __u64 *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

/* The numbers behind the options, in the order of the structure. */
static int numbers_parse(struct tollgate_call *call, char **words, int count)
{
    if (count < 2 || count > 2 + CALL_ARGS)
        return -1;
    if (number(words[0], &call->extension) < 0 || number(words[1], &call->function) < 0)
        return -1;
    for (int i = 2; i < count; i++)
        if (number(words[i], &call->arg[i - 2]) < 0)
            return -1;
    return 0;
}

static int call_make(struct tollgate_call *call)
{
    int fd = open("/dev/tollgate", O_RDWR | O_CLOEXEC), rc;

    if (fd < 0) {
        fprintf(stderr, "tgcall: cannot open /dev/tollgate: %s\n", strerror(errno));
        return -1;
    }
    rc = ioctl(fd, TOLLGATE_IOC_CALL, call);
    if (rc < 0)
        fprintf(stderr, "tgcall: the call was not made: %s\n", strerror(errno));
    close(fd);
    return rc;
}

int main(int argc, char **argv)
{
    struct tollgate_call call = {.error = 0};
    void *out = NULL;
    int option, status = 1;

    while ((option = getopt(argc, argv, "+i:o:")) != -1) {
        if (call.buffer || out)
            return usage();
        if (option == 'i') {
            call.buffer = (uintptr_t)optarg;
            call.length = strlen(optarg);
        } else if (option == 'o' && number(optarg, &call.length) == 0 &&
                   call.length <= 2 * TOLLGATE_BUFFER_MAX) {
            out = calloc(1, call.length + 1);
            if (!out)
                return 1;
            call.buffer = (uintptr_t)out;
        } else {
            return usage();
        }
    }
    if (numbers_parse(&call, argv + optind, argc - optind) < 0)
        return usage();
    if (call_make(&call) == 0) {
        if (out)
            printf("%s\n", (const char *)out);
        printf("error %lld value 0x%llx\n", (long long)call.error,
               (unsigned long long)call.value);
        status = 0;
    }
    free(out);
    return status;
}
