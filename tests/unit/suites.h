/* suites.h: the functions that register the unit test suites. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

/* suite_NAME() adds the suite of tests/unit/test_NAME.c to CUnit's registry. */
#define SUITE(name) void suite_##name(void);
#include "tests/unit/suites.def"
#undef SUITE

#endif
