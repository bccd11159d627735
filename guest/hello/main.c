/* main.c: the smallest kernel guest: one line to the console, then off. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/hart.h"
#include "guest/lib/print.h"

int guest_main(const void *dtb)
{
    (void)dtb;
    print("Hello from " KERNEL_MODE ".\n");
    return 0;
}
