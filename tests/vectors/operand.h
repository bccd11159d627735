/* operand.h: operands for floating-point operations, those that have rules of their own often.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_VECTORS_OPERAND_H
#define TESTS_VECTORS_OPERAND_H

#include <stdint.h>

enum operand_kind { OPERAND_HALF, OPERAND_SINGLE, OPERAND_DOUBLE, OPERAND_INTEGER };

/*
 * A register's worth. Floating point: signs, exponents and significands are drawn apart, each
 * from the corners of its range, powers of two, runs of ones, and at random; NaN-boxed, but for
 * one in 64. Integers: of every width, around powers of two.
 */
uint64_t operand_make(enum operand_kind kind);

/* One that cancels with `other`, or nearly: the same but for the sign and the last bits. */
uint64_t operand_near(enum operand_kind kind, uint64_t other);

/* c for a fused a * b + c, so that most of the sum cancels. Other kinds than floating point:
 * any. */
uint64_t operand_cancel(enum operand_kind kind, uint64_t a, uint64_t b);

#endif
