/* x64_float.h: what arithmetic and conversions of floating point share on x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_X64_FLOAT_H
#define VMM_ENGINE_DBT_X64_FLOAT_H

#include "vmm/engine/dbt/x64_block.h"

/* xmm registers, all free within an instruction. */
enum { XMM0, XMM1 };

#define RM_RTZ     1
#define RM_LAST    4
#define RM_DYNAMIC 7

/* --- x64_float.c --- */

/* The upper half of a single has to be all ones, else the interpreter does the instruction. */
void x64_need_boxed(struct target_block *b, unsigned f);
/* The result in the target of rd, unless it is a NaN. */
void x64_put_number(struct target_block *b, bool wide);
/* From xmm1, whose upper part is as that of the register has to be. */
void x64_put_spare(struct target_block *b, bool wide);

/* --- x64_convert.c: false when the instruction is none of theirs --- */

/* Conversions that are exact in any mode. */
bool x64_convert_exact(struct target_block *b, unsigned id);
/* fclass */
bool x64_convert_class(struct target_block *b, unsigned id);
/* To integers, and to integers of the format; in any mode but to nearest, ties away. */
bool x64_convert_to_int(struct target_block *b, unsigned id, unsigned rm);
/* In the rounding mode at hand. */
bool x64_convert_from_int(struct target_block *b, unsigned id);

/* rd = the integer that the single in `from` rounds to. */
void x64_single_to_int(struct target_block *b, unsigned from, bool word, bool is_unsigned,
                       unsigned rm);
/* For x64_round: of an instruction's mode, but ties away from zero. */
unsigned x64_round_mode(unsigned rm);
/* rd = the class of the number at the upper end of rax, with so many bits of exponent. */
void x64_class(struct target_block *b, unsigned exponent);

/* --- x64_half.c: the same of halves --- */

bool x64_half_exact(struct target_block *b, unsigned id);
bool x64_half_widening(struct target_block *b, unsigned id);
bool x64_half_to_int(struct target_block *b, unsigned id, unsigned rm);
bool x64_half_rounded(struct target_block *b, unsigned id);

#endif
