#!/bin/sh
# tollgate-engine.sh: the tollgate beside it with the engine that its own name ends with, for tests that are given a binary.
# SPDX-License-Identifier: BSD-2-Clause
set -eu
real=$(dirname -- "$0")/tollgate
if [ "${1:-}" = run ]; then
    shift
    exec "$real" run --engine "${0##*tollgate-}" "$@"
fi
exec "$real" "$@"
