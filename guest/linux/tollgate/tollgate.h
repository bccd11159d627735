/* tollgate.h: what a program of a Linux guest needs to make calls through /dev/tollgate. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LINUX_TOLLGATE_TOLLGATE_H
#define GUEST_LINUX_TOLLGATE_TOLLGATE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * One call of Tollgate's, numbered as guest/abi/calls.h has it. A call that takes a buffer gets
 * it from BUFFER and LENGTH, at most TOLLGATE_BUFFER_MAX bytes: the module copies it and fills
 * in the three arguments of the buffer, whatever stands in them. Of a call that takes none,
 * both are 0. ERROR and VALUE are what a0 and a1 were behind the call.
 *
 * The ioctl is 0 when the call was made, whatever it answered. EPERM: the caller lacks
 * CAP_SYS_ADMIN. EOPNOTSUPP: not one of the calls that the module knows to make. EINVAL: a
 * buffer for a call that takes none, or the other way round, or too long. EFAULT: BUFFER or the
 * structure is not the caller's memory. ENOMEM: no memory for the copy.
 */
struct tollgate_call {
    __u64 extension;
    __u64 function;
    __u64 arg[6];
    __u64 buffer;
    __u64 length;
    __s64 error;
    __u64 value;
};

#define TOLLGATE_BUFFER_MAX 65536
#define TOLLGATE_IOC_CALL   _IOWR(0xf7, 0, struct tollgate_call)

#endif
