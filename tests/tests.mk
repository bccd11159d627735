# tests.mk: what `make check`, `make lint` and their relatives do; included by the top Makefile.
# SPDX-License-Identifier: BSD-2-Clause

.PHONY: unit-test
unit-test: $(B)/unit
	$(B)/unit
