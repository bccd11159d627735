#!/bin/sh
# tollgate-dbt.sh: the tollgate beside it, with the translator as engine, for tests that are given a binary.
# SPDX-License-Identifier: BSD-2-Clause
set -eu
real=$(dirname -- "$0")/tollgate
if [ "${1:-}" = run ]; then
    shift
    exec "$real" run --engine dbt "$@"
fi
exec "$real" "$@"
