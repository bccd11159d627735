/* version.h: which Tollgate this is. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_VERSION_H
#define VMM_VERSION_H

#define TG_VERSION "0.1.0"
#define TG_DATE    "2026-11-23" /* of the man pages; it changes with the version */

#endif
