/* srst.c: system reset (SBI 2.0, section 10): what it refuses. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

void probe_srst(void)
{
    static const struct attempt list[] = {
        {"srst: a reserved type",          BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {3, 0}         },
        {"srst: the last reserved type",   BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {0xefffffff, 0}},
        {"srst: a vendor's type",          BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {0xf0000000, 0}},
        {"srst: type -1",                  BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {0xffffffff, 0}},
        {"srst: a reserved reason",        BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {0, 2}         },
        {"srst: the last reserved reason",
         BAD_PARAM | ABSENT,
         SBI_EXT_SRST,                                                       0,
         {0, 0xdfffffff}                                                                       },
        {"srst: a vendor's reason",        BAD_PARAM | ABSENT, SBI_EXT_SRST, 0, {0, 0xf0000000}},
        {"srst: garbage in both",
         BAD_PARAM | ABSENT,
         SBI_EXT_SRST,                                                       0,
         {0x12345678, 0x9abcdef0}                                                              },
    };

    if (extension_begin("srst", SBI_EXT_SRST))
        attempts_make(list, sizeof(list) / sizeof(list[0]));
}
