#!/bin/bash
# lint.sh: `make lint`: style, structure and static analysis, without running anything.
# SPDX-License-Identifier: BSD-2-Clause
set -u
shopt -s lastpipe # check() counts, so it must not run in a subshell
cd "$(dirname "$0")/.." || exit 2

failed=0 passed=0
check() { # NAME, then lines on standard input: each is a finding
	local name=$1 findings
	findings=$(cat)
	if [ -z "$findings" ]; then
		echo "ok $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name"
		printf '%s\n' "$findings" | head -40 | sed 's/^/    /'
		failed=$((failed + 1))
	fi
}

mapfile -t files < <(git ls-files -co --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done)
list() { printf '%s\n' "${files[@]}" | grep -E "$1"; }
mapfile -t c_files < <(list '\.[ch]$')
mapfile -t host_c < <(list '^(vmm|devices|hypercalls|firmware|tests)/.*\.c$')
mapfile -t shell_files < <(list '\.sh$|^\.ci/run$'; list '^guest/linux/init$')

# --- structure ---

list '\.([chS]|sh|def|tbl|mk|ld)$|(^|/)Makefile$' | xargs grep -L 'SPDX-License-Identifier: BSD-2-Clause' |
	check "every source file has its SPDX line"

includes() { # FILES-REGEX, ALLOWED-REGEX: project includes of those files that are not allowed
	list "$1" | xargs -r grep -nE '^#include "' /dev/null | grep -vE "#include \"($2)"
}
includes '^guest/abi/.*\.h$' 'guest/abi/calls\.h' | check "guest/abi includes nothing but the table's numbers"
includes '^vmm/.*\.[ch]$' 'vmm/|guest/abi/' | check "vmm includes only vmm and guest/abi"
includes '^devices/.*\.[ch]$' 'vmm/[a-z_]+\.h|guest/abi/|devices/' |
	check "devices include only public headers of vmm"
includes '^hypercalls/.*\.[ch]$' 'vmm/[a-z_]+\.h|guest/abi/|hypercalls/' |
	check "hypercalls include only public headers of vmm"
includes '^guest/(lib|hello|kernel|latency|probe|devices|program|hostile)/.*' 'guest/' |
	check "guests include nothing of the monitor"

list '^(vmm|devices|hypercalls|firmware)/.*\.c$' | grep -v '^vmm/main\.c$' |
	xargs grep -nE '\b(exit|_exit|abort|assert)\(' | grep -vE '^vmm/host(_term)?\.c:|: *\*|//|_(exit|abort|assert)\(' |
	check "only main.c ends the process"

list '^(vmm|devices|hypercalls|firmware)/.*\.[ch]$' | grep -vE '^vmm/(clock|host|host_term)\.[ch]$' |
	xargs grep -nE '\b(clock_gettime|gettimeofday|time\(NULL\)|nanosleep|usleep)\b' |
	check "only the clock and the host layer ask for the time"

lines=$(cat vmm/exit.c vmm/call.c vmm/policy.c vmm/module.c |
	grep -vcE '^[[:space:]]*(/?\*.*)?$')
{ [ "$lines" -le 1500 ] || echo "$lines code lines"; } |
	check "exit, call, policy and module stay within 1,500 code lines ($lines)"

for f in build/obj/devices/*.o build/obj/hypercalls/*.o; do
	[ -f "$f" ] || continue
	objdump -t "$f" | awk -v file="$f" '
		/ O / { for (i = 1; i <= NF; i++) if ($i ~ /^\.(data|bss|data\.rel\.local|data\.rel)$/) print file ": " $NF }'
done | check "modules have no mutable statics"

# In the threaded interpreter a handler that calls the next one, rather than jump, would eat the stack.
for f in build/obj/vmm/engine/interp/*.o build/clang/obj/vmm/engine/interp/*.o; do
	[ -f "$f" ] || continue
	objdump -d --no-show-raw-insn "$f" | awk -v file="$f" '
		/^[0-9a-f]+ <.*>:$/ { name = $2 }
		name ~ /<interp_step>/ { next } # enters them, from outside
		/call +\*.*,8\)/ || (/call +\*%r/ && name ~ /<op_/) { print file ": " name " " $0 }'
done | check "every op of the interpreter leaves by a jump"

# The mirror that this machine happens to use must not be written down.
hosts=$(grep -rhoE '://[A-Za-z0-9.-]+' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
	sed 's|://||' | sort -u)
for host in $hosts; do
	printf '%s\n' "${files[@]}" | xargs grep -nF "$host" /dev/null
done | check "no mirror is named"

# --- tools ---

# What the tools include is made by the build.
make -s build/gen/made 2>&1 | check "the table of calls"

if command -v clang-format-14 >/dev/null; then
	clang-format-14 --dry-run "${c_files[@]}" 2>&1 | grep -E 'warning' | head -20 |
		check "clang-format"
fi
if command -v shellcheck >/dev/null; then
	shellcheck -x "${shell_files[@]}" 2>&1 | check "shellcheck"
fi
if command -v cppcheck >/dev/null; then
	cppcheck -q -j"$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
		--error-exitcode=0 -I. -Ibuild/gen -D_GNU_SOURCE "${host_c[@]}" 2>&1 | check "cppcheck"
fi
if command -v clang-tidy-14 >/dev/null && [ -z "${LINT_QUICK:-}" ]; then
	# The riscv64 KVM engine needs riscv64's kernel headers; its cross build has all warnings on.
	list '^(vmm|devices|hypercalls|firmware)/.*\.c$' | grep -v '^vmm/engine/kvm/riscv64' |
		xargs -P"$(nproc)" -I{} clang-tidy-14 --quiet {} -- -I. -Ibuild/gen -std=gnu11 -D_GNU_SOURCE 2>/dev/null |
		grep -E 'warning:|error:' | sed "s|$PWD/||" | sort -u | check "clang-tidy"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
