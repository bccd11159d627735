#!/bin/bash
# kvm-nested.sh: the riscv64 KVM engine on real KVM, nested: one boot of Debian's kernel in QEMU runs all its tests.
# SPDX-License-Identifier: BSD-2-Clause
#
#     kvm-nested.sh BUILDDIR [linux]      needs BUILDDIR/tollgate and BUILDDIR/guest/*.elf
#
# With `linux`, Debian's kernel boots in the nested Tollgate too, on one hart and on two (half a minute more).
#
# QEMU 10 emulates a hart with the H extension; in it Debian's riscv64 kernel runs with the module kvm, and in that a
# static Tollgate (`make cross`) with --engine kvm. What the probe and the small kernel report is compared with what they
# report on this machine's interpreter; where KVM answers calls itself, and differently, the list below says so.
#
# Prints `ok NAME` or `FAIL NAME` a test, and `N passed, N failed[, N skipped]`. Status: 0, or 1 when one failed.
set -eu
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.."

build=${1:-build}
linux=${2:-}
cache=${TOLLGATE_CACHE:-.cache}
qemu=$cache/qemu/qemu-system-riscv64
host=$cache/debian-riscv64
limit=1200 # seconds for the boot and all tests; about 30 of processor time are needed, 100 with Linux
memory=320M

skip() {
	skip_all "kvm-nested: $1"
}

# What KVM (Linux 6.12) answers itself and in another way, as patterns of the probe's and the kernel's lines.
#   rfence   masks and bases that name no hart are not refused
#   ipi      the harts of a mask that exist get the interrupt before the others are refused
#   hsm      a hart ID above 2^32 or of no hart counts as stopped; a suspend is always retentive; a hart that waits
#            counts as suspended
#   counters scounteren.CY has no effect on a cycle counter that KVM emulates
#   time     what set_timer wrote is lost now and then, when the hart's thread leaves the CPU (docs/kvm-riscv64.md)
known='^(ipi: a refused one reaches nobody'
known+='|time: (a past timer is pending|never clears it|the timer becomes pending|a later timer clears it)'
known+='|rfence: (fence\.i|sfence|asid): (a base|a hart|sixty|a mask).*'
known+='|hsm: state of (no hart|hart -1)'
known+='|hsm: suspend that would come back .*'
known+='|hsm: a non-retentive suspend .*'
known+='|second hart: HSM says that it runs'
known+='|sv[0-9]+: without scounteren\.CY .*)$'

verdict_shows() { # NAME
	[ ! -f "$work/out/$1" ] || tail -n 12 "$work/out/$1" | tr -c '[:print:]\n' '?' | cut -c 1-160 | sed 's/^/  /'
}

# --- what is needed ---

"$qemu" --version >/dev/null 2>&1 || skip "there is no QEMU in the cache; tests/tools/qemu.sh fetches it"
sh guest/linux/fetch.sh --check || skip "Debian's kernel is not in the cache, or without kvm; guest/linux/fetch.sh fetches it"
command -v cpio >/dev/null || skip "there is no cpio"
status=0
sh tests/tools/cross.sh || status=$?
case $status in
0) ;;
3 | 4) skip "the riscv64 compiler cannot be had (see above)" ;;
*) exit 1 ;;
esac
make -s -j2 cross-test CACHE="$cache" || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/tree/{bin,dev,proc,sys,tmp,lib} "$work/out"

# --- what runs in the nested host ---

cat >"$work/tree/init" <<'INIT'
#!/bin/sh
# Process 1 gets a signal for each orphan that ends, which would interrupt it while it opens a pipe: another shell tests.
[ $$ != 1 ] || {
	sh /init
	poweroff -f
}
# Each test's output goes to the console between "@begin NAME" and "@end NAME STATUS".
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
echo 1 >/proc/sys/kernel/printk # KVM logs each exit that it cannot handle
insmod /lib/kvm.ko

t() { # NAME, arguments of tollgate
	name=$1
	shift
	echo "@begin $name"
	timeout -s KILL 300 tollgate run -m 64M "$@" >/tmp/out 2>&1
	status=$?
	cat /tmp/out
	echo
	echo "@end $name $status"
}

# One that never ends. When it has printed its plan it gets SIGTERM and must end by that.
killed() {
	name=$1
	shift
	echo "@begin $name"
	mkfifo /tmp/pipe
	timeout -s KILL 300 tollgate run -m 64M "$@" >/tmp/pipe 2>&1 &
	while read -r line; do
		echo "$line"
		case $line in 1..*) break ;; esac
	done </tmp/pipe
	pidof tollgate | xargs kill -TERM
	wait $!
	status=$?
	rm /tmp/pipe
	echo "@end $name $status"
}

# save NAME, arguments: stops the guest when it says that it is ready. load NAME, arguments: goes on, and types its x.
# Standard input stays open, since its end is part of what is saved.
save() {
	name=$1
	shift
	echo "@begin $name"
	mkfifo /tmp/in /tmp/pipe
	exec 4<>/tmp/in
	timeout -s KILL 300 tollgate run -m 64M --save-state /tmp/state "$@" </tmp/in >/tmp/pipe 2>&1 &
	while read -r line; do
		echo "$line"
		case $line in "# ready"*) break ;; esac
	done </tmp/pipe
	pidof tollgate | xargs kill -TERM
	wait $!
	status=$?
	exec 4>&-
	rm /tmp/in /tmp/pipe
	echo "@end $name $status"
}
load() {
	name=$1
	shift
	echo "@begin $name"
	echo x | timeout -s KILL 300 tollgate run -m 64M --load-state /tmp/state "$@" >/tmp/out 2>&1
	status=$?
	cat /tmp/out
	echo "@end $name $status"
}

# Stopped and continued every two milliseconds, which interrupts each thread wherever it is; again when a run was over
# before that had happened often enough.
storm() {
	name=$1
	shift
	echo "@begin $name"
	storms=0 runs=0 status=0
	while [ $status = 0 ] && [ $storms -lt 10 ] && [ $runs -lt 20 ]; do
		timeout -s KILL 300 tollgate run -m 64M "$@" >/tmp/out 2>&1 &
		bomb=$!
		tries=0
		until pid=$(pidof tollgate) || [ $((tries += 1)) -gt 100 ]; do :; done
		while [ -n "$pid" ] && [ $storms -lt 100 ] && kill -STOP "$pid" 2>/dev/null; do
			usleep 1000
			kill -CONT "$pid" 2>/dev/null || break
			usleep 1000
			storms=$((storms + 1))
		done
		wait $bomb
		status=$?
		runs=$((runs + 1))
	done
	cat /tmp/out
	[ $storms -lt 10 ] || echo "# at least 10 times"
	echo "@end $name $status"
}

# Guests whose timers must not fail have tg.sstc: SBI's is lost now and then (docs/kvm-riscv64.md).
k="--engine kvm"
t auto -v hello.elf
t hello $k hello.elf
t hello-2-harts $k -c 2 hello.elf
t probe $k probe.elf
t kernel $k -p tg.sstc kernel.elf
t kernel-2-harts $k -c 2 -p tg.sstc kernel.elf
t services $k --device tg-entropy -p tg.sstc services.elf
t services-2-harts $k -c 2 --device tg-entropy -p tg.sstc services.elf
t time-few $k --report - -p tg.time services.elf
t time-many $k --report - -p "tg.time tg.many" services.elf
t devices $k --without aia devices.elf
t controller -v $k hello.elf
t controller-both $k --device plic hello.elf
t devices-no-legacy $k --without uart16550a --without sbi-dbcn --console none --report - hello.elf
t starts-2-harts $k -c 2 hostile-starts.elf
t fault-handler $k hostile-novector.elf
t fault-device $k --report - hostile-mmio.elf
killed killed-asleep $k hostile-sleep.elf
echo "@begin engine"
timeout -s KILL 60 kvm-test hello.elf hostile-ipis.elf >/tmp/out 2>&1
status=$?
cat /tmp/out
echo "@end engine $status"
storm storm $k --device tg-entropy -p tg.sstc services.elf
storm storm-2-harts $k -c 2 --device tg-entropy -p tg.sstc services.elf
t fault-jump $k --report - hostile-wildjump.elf
t fault-misaligned-load $k --report - -p tg.load hostile-misaligned.elf
t fault-misaligned-store $k --report - -p tg.store hostile-misaligned.elf
t fault-atomic $k --report - -p tg.amo hostile-misaligned.elf
t fault-registers $k --report - hostile-mmio.elf
save save-kvm $k --without aia -c 3 -p tg.sstc resume.elf
load load-interp --engine interp -c 3 -p tg.sstc resume.elf
load load-kvm $k --without aia -c 3 -p tg.sstc resume.elf
save save-interp --engine interp -c 3 -p tg.sstc resume.elf
load load-interp-kvm $k --without aia -c 3 -p tg.sstc resume.elf
save save-aia $k -c 3 -p tg.sstc resume.elf
load load-aia $k -c 3 -p tg.sstc resume.elf
load load-aia-again $k -c 3 -p tg.sstc resume.elf
load load-aia-interp --engine interp -c 3 -p tg.sstc resume.elf
load load-aia-without $k --without aia -c 3 -p tg.sstc resume.elf
t harts-most $k -c 64 hello.elf
(
	ulimit -n 24
	t harts-many $k -c 64 hello.elf
)
t harts-more $k -c 65 hello.elf
t deny-below $k --deny sbi.time hello.elf
t rate-below $k --rate sbi.hsm,calls=9 hello.elf
t see-below $k --policy see-below.json hello.elf
t see-all $k --policy see-all.json hello.elf
t trace-inside $k --trace irq hello.elf
t policy $k --policy whole.json --device tg-entropy -p tg.sstc services.elf
t deny-hidden $k --deny sbi.legacy hello.elf
t deny-exits $k --deny sbi.dbcn.write hello.elf
t program $k --program program-exit42.elf
t budget $k --max-steps 1000 hello.elf
t modules --list-modules
echo "@begin bench"
timeout -s KILL 120 tollgate bench calls --quick $k >/tmp/out 2>&1
status=$?
cat /tmp/out
echo "@end bench $status"
if [ -e Image ]; then
	random="head -c 1000 /dev/hwrng | wc -c; cat /proc/interrupts"
	resume='echo \# ready; read x; echo got $x; head -c 1000 /dev/hwrng | wc -c'
	t linux $k --without aia --policy-learn /tmp/learned -m 256M -i initramfs.cpio \
		-p "console=hvc0 quiet tg.run=\"$random\"" Image
	t linux-2-harts $k --policy /tmp/learned -m 256M -c 2 -i initramfs.cpio \
		-p "console=hvc0 quiet tg.run=\"$random\"" Image
	save linux-save $k --without aia -m 256M -i initramfs.cpio -p "console=hvc0 quiet tg.run=\"$resume\"" Image
	load linux-load --engine interp -m 256M -i initramfs.cpio -p "console=hvc0 quiet tg.run=\"$resume\"" Image
	save linux-save-aia $k -m 256M -c 2 -i initramfs.cpio -p "console=hvc0 quiet tg.run=\"$resume\"" Image
	load linux-load-aia $k -m 256M -c 2 -i initramfs.cpio -p "console=hvc0 quiet tg.run=\"$resume\"" Image
fi
chmod 000 /dev/kvm
rm /dev/kvm
t no-kvm $k hello.elf
t no-kvm-auto -v hello.elf
INIT
chmod 0755 "$work/tree/init"
echo '{"version": 1, "rules": [{"deny": "sbi.time", "refusal": "log"}]}' >"$work/tree/see-below.json"
echo '{"version": 1, "default": "log"}' >"$work/tree/see-all.json"
cat >"$work/tree/whole.json" <<'END'
{
  "version": 1,
  "default": "deny",
  "rules": [
    {"allow": "sbi.base"}, {"allow": "sbi.time"}, {"allow": "sbi.ipi"}, {"allow": "sbi.rfence"}, {"allow": "sbi.hsm"},
    {"allow": "sbi.srst"}, {"allow": "sbi.pmu"}, {"allow": "sbi.sta"}, {"allow": "sbi.dbcn"}, {"allow": "tg"},
    {"deny": "tg.console.log", "args": {"level": {"min": 2}}, "refusal": "log"},
    {"deny": "tg.entropy.read", "args": {"len": {"max": 64}}},
    {"rate": "sbi.dbcn.write", "calls": 100000}
  ]
}
END
cp "$host/busybox" "$work/tree/bin/"
for applet in sh mount insmod timeout usleep cat mkfifo pidof xargs kill chmod rm poweroff; do
	ln -s busybox "$work/tree/bin/$applet"
done
cp "$host"/host/*.ko "$work/tree/lib/"
cp build/cross/tollgate build/cross/kvm-test "$work/tree/bin/"
cp "$build"/guest/*.elf "$work/tree/"
if [ "$linux" = linux ]; then
	memory=1G
	cp "$host/Image" "$work/tree/Image"
	sh guest/linux/initramfs.sh "$work/tree/initramfs.cpio" || exit 1
fi
(cd "$work/tree" && find . | cpio -o -H newc --quiet) >"$work/initrd"

status=0
# With AIA, whose interrupt controller KVM can give to guests; --without aia leaves it out.
timeout -k 5 "$limit" "$qemu" -M virt,aia=aplic-imsic,aia-guests=3 \
	-cpu rv64,h=true,smaia=true,ssaia=true,smstateen=true -smp 1 -m "$memory" -display none -nodefaults -no-reboot \
	-serial "file:$work/log" -kernel "$host/Image" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 PATH=/bin" </dev/null >"$work/qemu" 2>&1 || status=$?
if ! grep -aq '^@begin' "$work/log"; then
	tail -n 20 "$work/qemu" "$work/log"
	verdict boot "QEMU ended with status $status before the first test"
	echo "$passed passed, $failed failed"
	exit 1
fi
tr -d '\r' <"$work/log" | awk -v dir="$work/out/" '
	/^@begin / { name = $2; next }
	/^@end /   { print $3 > (dir $2 ".status"); name = ""; next }
	name != "" { print > (dir name) }'

# --- judgement ---

# expect NAME STATUS [LINE...]: the test ended with STATUS and its output holds each LINE.
expect() {
	local name=$1 want=$2 line got reason=""
	shift 2
	got=$(cat "$work/out/$name.status" 2>/dev/null) || got='no end'
	[ "$got" = "$want" ] || reason="status $got, not $want"
	for line in "$@"; do
		[ -n "$reason" ] || grep -aqF -- "$line" "$work/out/$name" || reason="no '$line' in the output"
	done
	verdict "$name" "$reason"
}

# TAP lines without their numbers, "ok TEXT" or "not ok TEXT".
tap() { sed -nE 's/^(ok|not ok) [0-9]+ - /\1 /p' "$1"; }

# compare NAME GUEST [OPTION...]: the guest's report equals the interpreter's, and the translator's where this machine
# has it, but for the known differences.
compare() {
	local name=$1 guest=$2 engine
	shift 2
	for engine in $others; do
		compare_with "$engine" "$name" "$guest" "$@"
	done
}

compare_with() { # ENGINE, and compare's
	local engine=$1 name=$2 guest=$3 reason="" differ
	shift 3
	# The two lists differ in legacy calls, which KVM hides.
	"$build/tollgate" run --engine "$engine" -m 64M --without sbi-legacy "$@" "$build/guest/$guest.elf" </dev/null \
		2>/dev/null | tr -d '\r' >"$work/other" || :
	tap "$work/other" >"$work/want"
	tap "$work/out/$name" >"$work/got"
	# An extension that this KVM does not have is skipped by the guest, test by test, and listed here once.
	sed -nE 's/^ok ([a-z]+): .* # SKIP this firmware does not have it$/\1/p' "$work/got" | sort -u |
		sed 's/^/  KVM does not have: /'
	sed -i -E 's/ # SKIP this firmware does not have it$//' "$work/want" "$work/got"
	differ=$(diff <(sed -E 's/^(not )?ok //' "$work/want") <(sed -E 's/^(not )?ok //' "$work/got") | head -n 3) || :
	if [ ! -s "$work/want" ] || [ -n "$differ" ]; then
		reason="it does not report the same tests: $differ"
	else
		differ=$(paste -d '|' "$work/want" "$work/got" | awk -F '|' '$1 != $2 { sub(/^(not )?ok /, "", $2); print $2 }')
		[ -z "$differ" ] || printf '%s\n' "$differ" | grep -E "$known" | sed 's/^/  KVM answers itself: /'
		differ=$(printf '%s\n' "$differ" | grep -vE "$known|^$" | head -n 3) || :
		[ -z "$differ" ] || reason="differs from $engine: $differ"
	fi
	verdict "$name compared with $engine" "$reason"
}

others=interp
status=0
"$build/tollgate" run --engine dbt -m 64M "$build/guest/hello.elf" </dev/null >"$work/other" 2>&1 || status=$?
case $status in
0) others='interp dbt' ;;
69) sed 's/^/  /' "$work/other" ;; # it is not for this machine
*) verdict 'hello under dbt' "status $status" ;;
esac

expect auto 0 'engine kvm, 1 hart' 'Hello from S-mode.'
expect hello 0 'Hello from S-mode.'
expect hello-2-harts 0 'Hello from S-mode.'
compare probe probe
compare kernel kernel -p tg.sstc
compare kernel-2-harts kernel -c 2 -p tg.sstc
expect services 0 '1..7'
expect services-2-harts 0 '1..7'
compare services services --device tg-entropy -p tg.sstc
expect time-few 0 'the time has a page'
expect time-many 0 'the time has a page'
calls() { sed -nE 's/^ *"(call|mmio)": ([0-9]+),?$/\1 \2/p' "$work/out/$1" | tr '\n' ' '; }
reason=
[ -n "$(calls time-few)" ] && [ "$(calls time-few)" = "$(calls time-many)" ] ||
	reason="$(calls time-few), and with many looks $(calls time-many)"
verdict 'the time page costs no exit' "$reason"
expect devices 42 '1..25'
compare devices devices
expect controller 0 'modules: aia uart16550a'
expect controller-both 78 'plic'
expect devices-no-legacy 0 '"call": 1' '"mmio": 0'
expect starts-2-harts 0 '1..3'
expect fault-handler 100 'guest fault: hart 0, pc 0x80' 'illegal instruction' 'trap handler (stvec) is not in memory'
expect fault-device 100 'guest fault: hart 0, pc 0x80' ', instruction 0x' '"registers"'
expect killed-asleep 143
expect engine 0 'ok 3 - steps are those of the interpreter' '1..14'
expect storm 0 '1..7' '# at least 10 times'
expect storm-2-harts 0 '1..7' '# at least 10 times'
expect fault-jump 100 'ok 22 - jump to' 'guest fault: hart 0, pc 0x' 'instruction access fault, address 0x' \
	'too many jumps to where no memory is' '"x31"'
for access in 'misaligned-load load access fault, address 0x10001002' \
	'misaligned-store store access fault, address 0x10001002' 'atomic store access fault, address 0x10001000'; do
	expect "fault-${access%% *}" 100 'guest fault: hart 0, pc 0x80' "${access#* }" ', instruction 0x' \
		'KVM cannot carry out this access' '"x31"'
done
expect fault-registers 100 'access fault, address 0x' ', instruction 0x' 'KVM cannot carry out this access' '"x31"'
expect save-kvm 143 '# ready'
expect load-interp 0 'ok 10 - ' '1..10'
expect load-kvm 0 'ok 10 - ' '1..10'
expect save-interp 143 '# ready'
expect load-interp-kvm 0 'ok 10 - ' '1..10'
expect save-aia 143 '# ready'
expect load-aia 0 'ok 14 - ' '1..14'
expect load-aia-again 0 'ok 14 - ' '1..14'
expect load-aia-interp 78 "the interrupt controller of the host's KVM, aia" '--without aia'
expect load-aia-without 78 "the interrupt controller of the host's KVM, aia" 'this VM has plic'
expect harts-most 0 'Hello from S-mode.'
expect harts-many 71 '--cpus: engine kvm cannot make hart' 'of 64: Too many open files'
expect harts-more 64 '65' '64'
expect deny-below 69 'cannot be enforced: engine kvm'
expect rate-below 69 'cannot be enforced: engine kvm'
expect see-below 69 'see-below.json' 'cannot be enforced: engine kvm lets sbi.time'
expect see-all 69 '--policy: the default is log' 'cannot be enforced: engine kvm'
expect trace-inside 69
expect policy 0 '# SKIP the policy refuses it' '1..7' 'tg.console.log would be refused by rules[10]'
expect deny-hidden 0 'Hello from S-mode.'
expect deny-exits 0 'Hello from S-mode.'
expect program 69 'it does not support --program'
expect budget 69 'it does not support --max-steps'
expect modules 0 "engine kvm: answered by the host's kernel"
expect bench 0 'measured: kvm, quick' 'SBI call to a module                     n/a: this engine lets KVM answer SBI Base'
expect no-kvm 69 'cannot open /dev/kvm'
expect no-kvm-auto 0 'engine interp'
if [ "$linux" = linux ]; then
	expect linux 0 '1000' 'SiFive PLIC' 'TOLLGATE-STATUS 0'
	expect linux-save 143 '# ready'
	expect linux-load 0 'got x' '1000' 'TOLLGATE-STATUS 0'
	expect linux-save-aia 143 '# ready'
	expect linux-load-aia 0 'got x' '1000' 'TOLLGATE-STATUS 0'
	expect linux-2-harts 0 '1000' 'CPU1' 'APLIC-MSI' 'TOLLGATE-STATUS 0'
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
