/* tg_files.h: what the calls of host files take and give, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_TG_FILES_H
#define GUEST_ABI_TG_FILES_H

/*
 * A file is named by a folder and a path below it. The folder TG_FILES_GRANTS is that of the
 * grants which policy makes: "NAME/rest" is a path below the granted folder NAME, "NAME" the
 * folder or file itself. A path is not absolute, holds no zero byte, and has at most
 * TG_FILES_PATH_MAX bytes. No ".." and no link leads out of a grant.
 */
#define TG_FILES_GRANTS   (-100)
#define TG_FILES_PATH_MAX 1024
#define TG_FILES_OPEN_MAX 64

/* Flags of OPENAT; the numbers of Linux on RISC-V. */
#define TG_O_RDONLY    0x00000
#define TG_O_WRONLY    0x00001
#define TG_O_RDWR      0x00002
#define TG_O_CREAT     0x00040
#define TG_O_EXCL      0x00080
#define TG_O_TRUNC     0x00200
#define TG_O_APPEND    0x00400
#define TG_O_DIRECTORY 0x10000

/* LSEEK: from where. */
#define TG_SEEK_SET 0
#define TG_SEEK_CUR 1
#define TG_SEEK_END 2

/* What FSTAT writes: 64-bit little-endian words at these offsets. */
#define TG_STAT_SIZE  0
#define TG_STAT_MTIME 8  /* ns since 1970-01-01 UTC */
#define TG_STAT_MODE  16 /* permission bits, and TG_STAT_DIRECTORY */
#define TG_STAT_BYTES 24

#define TG_STAT_DIRECTORY 0x4000

#endif
