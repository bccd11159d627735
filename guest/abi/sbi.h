/* sbi.h: numbers of the RISC-V Supervisor Binary Interface, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_SBI_H
#define GUEST_ABI_SBI_H

/*
 * Source: RISC-V SBI Specification 3.0. Calling convention (section 3): a7 is the extension
 * (EID), a6 the function (FID), a0-a5 the arguments; a0 returns the error, a1 the value, every
 * other register is preserved. Legacy calls (section 5) return in a0 only and preserve a1.
 *
 * The numbers of the calls are made from the table (hypercalls/abi.tbl): SBI_EXT_* and one for
 * each function. Here are the others.
 */
#include "guest/abi/calls.h"

/* Legacy extensions (section 5): the names that the specification has. */
#define SBI_EXT_LEGACY_CONSOLE_PUTCHAR SBI_EXT_LEGACY_PUTCHAR
#define SBI_EXT_LEGACY_CONSOLE_GETCHAR SBI_EXT_LEGACY_GETCHAR

/* RFENCE (section 8): functions that nobody answers here. */
#define SBI_RFENCE_HFENCE_GVMA_VMID 3
#define SBI_RFENCE_HFENCE_GVMA      4
#define SBI_RFENCE_HFENCE_VVMA_ASID 5
#define SBI_RFENCE_HFENCE_VVMA      6

/* HSM (section 9). */
#define SBI_HSM_STARTED         0
#define SBI_HSM_STOPPED         1
#define SBI_HSM_START_PENDING   2
#define SBI_HSM_STOP_PENDING    3
#define SBI_HSM_SUSPENDED       4
#define SBI_HSM_SUSPEND_PENDING 5
#define SBI_HSM_RESUME_PENDING  6

#define SBI_HSM_SUSPEND_RETENTIVE     0x00000000
#define SBI_HSM_SUSPEND_NON_RETENTIVE 0x80000000

/* SRST (section 10). */
#define SBI_SRST_TYPE_SHUTDOWN    0
#define SBI_SRST_TYPE_COLD_REBOOT 1
#define SBI_SRST_TYPE_WARM_REBOOT 2

#define SBI_SRST_REASON_NONE           0
#define SBI_SRST_REASON_SYSTEM_FAILURE 1

/* PMU (section 11). event_idx: the type in bits 19-16, the code below. */
#define SBI_PMU_EVENT(type, code) ((type) << 16 | (code))
#define SBI_PMU_TYPE_HW           0
#define SBI_PMU_TYPE_CACHE        1
#define SBI_PMU_TYPE_RAW          2
#define SBI_PMU_TYPE_RAW_V2       3
#define SBI_PMU_TYPE_FW           15

#define SBI_PMU_HW_CPU_CYCLES   1
#define SBI_PMU_HW_INSTRUCTIONS 2

/* A RECEIVED is its SENT plus one. */
#define SBI_PMU_FW_MISALIGNED_LOAD          0
#define SBI_PMU_FW_MISALIGNED_STORE         1
#define SBI_PMU_FW_ACCESS_LOAD              2
#define SBI_PMU_FW_ACCESS_STORE             3
#define SBI_PMU_FW_ILLEGAL_INSN             4
#define SBI_PMU_FW_SET_TIMER                5
#define SBI_PMU_FW_IPI_SENT                 6
#define SBI_PMU_FW_IPI_RECEIVED             7
#define SBI_PMU_FW_FENCE_I_SENT             8
#define SBI_PMU_FW_FENCE_I_RECEIVED         9
#define SBI_PMU_FW_SFENCE_VMA_SENT          10
#define SBI_PMU_FW_SFENCE_VMA_RECEIVED      11
#define SBI_PMU_FW_SFENCE_VMA_ASID_SENT     12
#define SBI_PMU_FW_SFENCE_VMA_ASID_RECEIVED 13
#define SBI_PMU_FW_HFENCE_GVMA_SENT         14
#define SBI_PMU_FW_EVENTS                   22
#define SBI_PMU_FW_PLATFORM                 65535

#define SBI_PMU_CFG_SKIP_MATCH  0x01
#define SBI_PMU_CFG_CLEAR_VALUE 0x02
#define SBI_PMU_CFG_AUTO_START  0x04
#define SBI_PMU_CFG_SET_UINH    0x20
#define SBI_PMU_CFG_SET_SINH    0x40
#define SBI_PMU_CFG_SET_MINH    0x80
#define SBI_PMU_CFG_FLAGS       0xff /* the others are filters of guests' guests */

#define SBI_PMU_START_SET_INIT_VALUE 0x1
#define SBI_PMU_START_INIT_SNAPSHOT  0x2

#define SBI_PMU_STOP_RESET         0x1
#define SBI_PMU_STOP_TAKE_SNAPSHOT 0x2

#define SBI_PMU_SNAPSHOT_SIZE     4096
#define SBI_PMU_SNAPSHOT_OVERFLOW 0
#define SBI_PMU_SNAPSHOT_VALUES   8

/* An entry of event_get_info. */
#define SBI_PMU_INFO_SIZE   16
#define SBI_PMU_INFO_EVENT  0
#define SBI_PMU_INFO_OUTPUT 4
#define SBI_PMU_INFO_DATA   8

/* DBCN (section 12): the names that the specification has. */
#define SBI_DBCN_CONSOLE_WRITE      SBI_DBCN_WRITE
#define SBI_DBCN_CONSOLE_READ       SBI_DBCN_READ
#define SBI_DBCN_CONSOLE_WRITE_BYTE SBI_DBCN_WRITE_BYTE

/* SUSP (section 13). */
#define SBI_SUSP_SUSPEND_TO_RAM 0

/* STA (section 16). */
#define SBI_STA_SIZE     64
#define SBI_STA_SEQUENCE 0
#define SBI_STA_STEAL    8

/* FWFT (section 18). */
#define SBI_FWFT_MISALIGNED_EXC_DELEG  0
#define SBI_FWFT_LANDING_PAD           1
#define SBI_FWFT_SHADOW_STACK          2
#define SBI_FWFT_DOUBLE_TRAP           3
#define SBI_FWFT_PTE_AD_HW_UPDATING    4
#define SBI_FWFT_POINTER_MASKING_PMLEN 5
#define SBI_FWFT_FEATURES              6

#define SBI_FWFT_LOCK 0x1

/* Standard error codes (section 3). */
#define SBI_SUCCESS               0
#define SBI_ERR_FAILED            (-1)
#define SBI_ERR_NOT_SUPPORTED     (-2)
#define SBI_ERR_INVALID_PARAM     (-3)
#define SBI_ERR_DENIED            (-4)
#define SBI_ERR_INVALID_ADDRESS   (-5)
#define SBI_ERR_ALREADY_AVAILABLE (-6)
#define SBI_ERR_ALREADY_STARTED   (-7)
#define SBI_ERR_ALREADY_STOPPED   (-8)
#define SBI_ERR_NO_SHMEM          (-9)
#define SBI_ERR_INVALID_STATE     (-10)
#define SBI_ERR_BAD_RANGE         (-11)
#define SBI_ERR_TIMEOUT           (-12)
#define SBI_ERR_IO                (-13)
#define SBI_ERR_DENIED_LOCKED     (-14)

#endif
