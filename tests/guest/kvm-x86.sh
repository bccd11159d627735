#!/bin/bash
# kvm-x86.sh: the x86-64 KVM engine: small guests on this machine's /dev/kvm, and the same nested in QEMU with SVM.
# SPDX-License-Identifier: BSD-2-Clause
#
#     kvm-x86.sh BUILDDIR [linux]      needs BUILDDIR/tollgate and BUILDDIR/guest/x86-*.elf
#
# With `linux`, Debian's amd64 kernel boots in the nested Tollgate too, on one hart and on two.
#
# The nested host is Debian's amd64 kernel with kvm-amd in QEMU's emulation of a processor with SVM: slow, but it has
# what every processor with SVM has. A /dev/kvm of this machine may be of another kind.
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
qemu=$cache/qemu-x86/qemu-system-x86_64
host=$cache/debian-amd64
limit=400 # seconds for the nested boot and all tests; about 90 are needed, 400 with Linux
[ "$linux" != linux ] || limit=900

skip() { # the kind of host, why not
	printf 'skipped: kvm-x86: %s: %s\n' "$1" "$2"
	skipped=$((skipped + 1))
}

verdict_shows() { # NAME
	[ ! -f "$out/$1" ] || tail -n 5 "$out/$1" | tr -c '[:print:]\n' '?' | cut -c 1-160 | sed 's/^/  /'
}

if [ ! -f "$build/guest/x86-hello.elf" ]; then
	skip_all "kvm-x86: all: the x86-64 guests were not built: there is no compiler for x86-64"
fi
if [ "$(uname -m)" != x86_64 ]; then
	skip_all "kvm-x86: all: this machine is no x86-64 host"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/tree/{bin,dev,proc,sys,tmp,lib}

# --- what runs on both hosts: in the folder of the guests, with tollgate in PATH ---

cat >"$work/tree/tests" <<'TESTS'
# Each test's output goes between "@begin NAME" and "@end NAME STATUS".
t() { # NAME, arguments of tollgate
	name=$1
	shift
	echo "@begin $name"
	timeout -s KILL 60 tollgate run -m 64M "$@" >"$tmp/out" 2>&1 </dev/null
	status=$?
	cat "$tmp/out"
	echo
	echo "@end $name $status"
}

# One that never ends. When it has printed a line it gets SIGTERM and must end by that.
killed() {
	name=$1
	shift
	echo "@begin $name"
	rm -f "$tmp/pipe"
	mkfifo "$tmp/pipe"
	tollgate run -m 64M "$@" >"$tmp/pipe" 2>&1 </dev/null &
	pid=$!
	read -r line <"$tmp/pipe"
	echo "$line"
	kill -TERM $pid
	wait $pid
	status=$?
	echo "@end $name $status"
}

# Stopped and continued all the time, which interrupts each thread wherever it is: all goes on, with the same results.
storm() {
	name=$1
	shift
	echo "@begin $name"
	rm -f "$tmp/pipe"
	mkfifo "$tmp/pipe"
	timeout -s KILL 120 sh -c 'echo $$ >"$tmp/pipe"; exec tollgate run -m 64M "$@"' sh "$@" >"$tmp/out" 2>&1 </dev/null &
	bomb=$!
	read -r pid <"$tmp/pipe"
	storms=0
	while [ $storms -lt 300 ] && kill -STOP "$pid" 2>/dev/null; do
		kill -CONT "$pid" 2>/dev/null || break
		storms=$((storms + 1))
	done
	wait $bomb
	status=$?
	cat "$tmp/out"
	echo
	[ $storms -lt 10 ] || echo "# at least 10 times"
	echo "@end $name $status"
}

# The same, from the line on that begins with a word.
storm_at() { # WORD NAME, arguments of tollgate
	word=$1
	name=$2
	shift 2
	echo "@begin $name"
	rm -f "$tmp/pipe"
	mkfifo "$tmp/pipe"
	timeout -s KILL 200 sh -c 'echo $$; exec tollgate run "$@"' sh "$@" >"$tmp/pipe" 2>&1 </dev/null &
	bomb=$!
	storms=0
	{
		read -r pid
		while read -r line; do
			echo "$line"
			case $line in "$word"*)
				while [ $storms -lt 300 ] && kill -STOP "$pid" 2>/dev/null; do
					kill -CONT "$pid" 2>/dev/null || break
					storms=$((storms + 1))
				done
				;;
			esac
		done
	} <"$tmp/pipe"
	wait $bomb
	status=$?
	echo "# $storms times"
	[ $storms -lt 10 ] || echo "# at least 10 times"
	echo "@end $name $status"
}

# Stops the guest when it says that it is ready, and keeps its machine. Standard input stays open, since its end is part
# of what is saved.
save() { # NAME FILE, arguments
	name=$1
	file=$2
	shift 2
	echo "@begin $name"
	rm -f "$tmp/in" "$tmp/pipe"
	mkfifo "$tmp/in" "$tmp/pipe"
	exec 4<>"$tmp/in" 5<>"$tmp/pipe"
	tollgate run -m 64M --save-state "$tmp/$file" "$@" <"$tmp/in" >"$tmp/pipe" 2>&1 5<&- &
	pid=$!
	while read -r line <&5; do
		echo "$line"
		case $line in "# ready"* | tollgate:*) break ;; esac
	done
	kill -TERM $pid
	wait $pid
	status=$?
	exec 4>&- 5>&-
	echo "@end $name $status"
}
# Goes on from there, and types an x.
load() { # NAME FILE, arguments
	name=$1
	file=$2
	shift 2
	echo "@begin $name"
	echo x | timeout -s KILL 120 tollgate run -m 64M --load-state "$tmp/$file" "$@" >"$tmp/out" 2>&1
	status=$?
	cat "$tmp/out"
	echo
	echo "@end $name $status"
}

t auto -v x86-hello.elf
t hello --engine kvm x86-hello.elf
t hello-4-harts -c 4 x86-hello.elf
t arch --arch x86-64 x86-hello.elf
t arch-wrong --arch riscv64 x86-hello.elf
t raw --arch x86-64 --raw x86-hello.bin
t pvh -p "said by the command line" x86-pvh.elf
t riscv-on-kvm --engine kvm hello.elf
t x86-on-interp --engine interp x86-hello.elf
t probe --device tg-entropy x86-probe.elf
t probe-trace --trace calls --device tg-entropy x86-probe.elf
t trace-pio --trace mmio x86-probe.elf
t stats --stats x86-probe.elf
t event --device tg-event x86-event.elf
t event-absent -p absent --without tg-event x86-event.elf
t event-refused -p signal x86-event.elf
killed event-forever -p forever x86-event.elf
killed event-forever-4-harts -c 4 -p forever x86-event.elf
storm event-storm -p ticks x86-event.elf
t deny --deny tg.console x86-probe.elf
t without --without sbi-dbcn --report - x86-hello.elf
t riscv-device --device plic x86-hello.elf
t dtb --dtb x86-hello.elf x86-hello.elf
t firmware --arch x86-64 --firmware x86-hello.elf
t program --arch x86-64 --program x86-hello.elf
t budget --max-steps 1000 x86-hello.elf
t deterministic --deterministic x86-hello.elf
t save-end --save-state "$tmp/m-end" x86-hello.elf
t load-end --load-state "$tmp/m-end" x86-hello.elf
t keep --keep "$tmp/kept" x86-hello.elf
save save m-1 -p "$sse" x86-resume.elf
save save-again m-1-again --load-state "$tmp/m-1" x86-resume.elf
load load m-1 x86-resume.elf
load load-again m-1-again x86-resume.elf
save save-4-harts m-4 -c 4 -p "$sse" x86-resume.elf
save save-4-harts-again m-4-again -c 4 --load-state "$tmp/m-4" x86-resume.elf
load load-4-harts m-4 -c 4 x86-resume.elf
load load-4-harts-again m-4-again -c 4 x86-resume.elf
load load-other-harts m-1 -c 2 x86-resume.elf
load load-other-memory m-1 -m 128M x86-resume.elf
load load-other-modules m-1 --without tg-clock x86-resume.elf
load load-on-riscv m-1 hello.elf
load load-on-interp m-1 --engine interp x86-resume.elf
t save-riscv --engine interp --save-state "$tmp/m-riscv" hello.elf
load load-riscv m-riscv x86-resume.elf
head -c 9999 "$tmp/m-1" >"$tmp/m-cut"
load load-cut m-cut x86-resume.elf
echo "@begin state"
timeout -s KILL 200 kvm-state x86-resume.elf >"$tmp/out" 2>&1
status=$?
cat "$tmp/out"
echo "@end state $status"
[ ! -e there.state ] || load load-elsewhere ../there.state x86-resume.elf
t trace-inside --trace irq x86-hello.elf
t triple --report - x86-hostile-triple.elf
t nowhere --report - x86-hostile-nowhere.elf
t load-nobody --report - x86-hostile-load.elf
t store-nobody --report - x86-hostile-store.elf
t misaligned --report - x86-hostile-misaligned.elf
t ports --report - x86-hostile-ports.elf
for hostile in cross-end cross-into cross-ram cross-ram-store small emulate device-code device-idt device-stack ram-end \
	call-byte call-word call-part call-string; do
	t $hostile --report - x86-hostile-$hostile.elf
done
t string x86-hostile-string.elf
killed killed-asleep x86-hostile-sleep.elf
killed killed-asleep-4-harts -c 4 x86-hostile-sleep.elf
killed killed-spinning x86-hostile-spin.elf
storm storm --device tg-entropy x86-probe.elf
storm storm-4-harts -c 4 --device tg-entropy x86-probe.elf
# Devices' eventfds, and the same without; then in every slot, and with fewer descriptors than they ask for.
t virtio --report - --without virtio-console x86-virtio.elf
t virtio-exits --report - --without virtio-console --no-eventfds x86-virtio.elf
t virtio-watched --report - --without virtio-console --stats-json "$tmp/stats" x86-virtio.elf
t virtio-wide --without virtio-console -p wide x86-virtio.elf
t virtio-wide-exits --without virtio-console --no-eventfds -p wide x86-virtio.elf
slots=
for slot in 7 6 5 4 3 2 1 0; do
	slots="$slots --device virtio-rng,slot=$slot"
done
t virtio-all --report - --without virtio-console $slots -p all x86-virtio.elf
t virtio-all-exits --report - --without virtio-console $slots --no-eventfds -p all x86-virtio.elf
t virtio-9 --without virtio-console $slots --device virtio-rng x86-virtio.elf
(
	ulimit -n 20
	t virtio-few --without virtio-console $slots -p all x86-virtio.elf
)
save virtio-save m-virtio --without virtio-console $slots -p "all ready" x86-virtio.elf
load virtio-load m-virtio --without virtio-console $slots x86-virtio.elf
load virtio-load-exits m-virtio --without virtio-console $slots --no-eventfds x86-virtio.elf
save virtio-exits-save m-virtio --without virtio-console $slots --no-eventfds -p "all ready" x86-virtio.elf
load virtio-exits-load m-virtio --without virtio-console $slots x86-virtio.elf
storm virtio-storm --without virtio-console $slots -p "$requests" x86-virtio.elf
storm virtio-storm-4-harts -c 4 --without virtio-console $slots -p "$requests" x86-virtio.elf
t harts-most -c 64 x86-hello.elf
(
	ulimit -n 24
	t harts-many -c 64 x86-hello.elf
)
t harts-too-many -c 65 x86-hello.elf
echo "@begin latency"
timeout -s KILL 120 tollgate bench calls --quick --guest x86-latency.elf >"$tmp/out" 2>&1
status=$?
cat "$tmp/out"
echo "@end latency $status"
TESTS

# judged DIR: cuts a log into the tests' outputs.
cut_log() { # LOG DIR
	mkdir -p "$2"
	tr -d '\r' <"$1" | awk -v dir="$2/" '
		/^@begin / { name = $2; next }
		/^@end /   { print $3 > (dir $2 ".status"); name = ""; next }
		name != "" { print > (dir name) }'
}

# expect NAME STATUS [LINE...]: the test ended with STATUS and its output holds each LINE.
expect() {
	local name=$1 want=$2 line got reason=""
	shift 2
	got=$(cat "$out/$name.status" 2>/dev/null) || got='no end'
	[ "$got" = "$want" ] || reason="status $got, not $want"
	for line in "$@"; do
		[ -n "$reason" ] || grep -aqF -- "$line" "$out/$name" || reason="no '$line' in the output"
	done
	verdict "$where: $name" "$reason"
}

exits() { # NAME KIND: how many, by the report that its output ends with
	sed -nE "s/^ *\"$2\": ([0-9]+),?\$/\\1/p" "$out/$1" | awk '{ n += $1 } END { print n + 0 }'
}

# The calls that both architectures have get the same answers: the probe's lines, without numbers and skips.
tap() { sed -nE 's/^(ok|not ok) [0-9]+ - /\1 /p' "$1" | grep -E "$shared" | sort -u; }
shared='^(not )?ok (base|unknown|dbcn|srst|tg\.base|tg\.console|tg\.entropy):'

judge() {
	local got differ reason stores name rip='"rip": "0x' lost=$1
	expect auto 0 'engine kvm, 1 hart' 'Hello from 64-bit mode.'
	expect hello 0 'Hello from 64-bit mode.'
	expect hello-4-harts 0 'Hello from 64-bit mode.'
	expect arch 0 'Hello from 64-bit mode.'
	expect arch-wrong 65 'is an ELF file for x86-64; a RISC-V one is needed'
	expect raw 0 'Hello from 64-bit mode.'
	expect pvh 0 'said by the command line'
	expect riscv-on-kvm 69 'the guest is for riscv64, and this engine runs x86-64 guests'
	expect x86-on-interp 69 'the guest is for x86-64, and this engine runs riscv64 guests'
	expect probe 0 'written through DBCN' '1..108'
	reason=$("$build/tollgate" run --engine interp -m 64M --device tg-entropy "$build/guest/probe.elf" </dev/null \
		2>/dev/null | tr -d '\r' >"$work/interp" || :)
	tap "$work/interp" >"$work/want"
	tap "$out/probe" >"$work/got"
	differ=$(diff "$work/want" "$work/got" | head -n 3) || :
	reason=
	[ -s "$work/got" ] && [ -z "$differ" ] || reason="differs: $differ"
	verdict "$where: $(wc -l <"$work/got") lines of the probe are those of a RISC-V guest" "$reason"
	expect probe-trace 0 'tg.base.null(' 'sbi.dbcn.write(' '1..108'
	expect stats 0 'tg.base.null' 'pio'
	expect event 0 'ok 15 - an interrupt that is taken ends the wait' '1..20'
	expect event-absent 0
	expect event-refused 1 'refused: -4'
	expect event-forever 143 waiting
	expect event-forever-4-harts 143 waiting
	expect deny 1 'not ok'
	expect without 0 '"pio": '
	expect riscv-device 78 '--device: plic is not for x86-64 guests'
	expect dtb 78 '--dtb: x86-64 guests find their machine by ACPI'
	expect firmware 69 'it does not support --firmware'
	expect program 69 'it does not support --program'
	expect budget 69 'it does not support --max-steps'
	expect deterministic 69 '--deterministic'
	# The state is that of a machine before the call that ended it.
	expect save-end 0 'Hello from 64-bit mode.'
	expect load-end 0
	expect keep 0 'Hello from 64-bit mode.'
	expect save 143 '# ready'
	expect save-again 143 '# ready'
	set -- 12
	[ -z "$sse" ] || set -- 13
	expect load 0 "ok $1 - the time went on" "1..$1"
	expect load-again 0 "ok $1 - the time went on" "1..$1"
	expect save-4-harts 143 'ok 2 - hart 2 sleeps' '# ready'
	expect save-4-harts-again 143 '# ready'
	set -- $(($1 + 6))
	expect load-4-harts 0 "ok $1 - the time went on" "1..$1"
	expect load-4-harts-again 0 "ok $1 - the time went on" "1..$1"
	expect load-other-harts 78 '--load-state: the state is of a kernel with 1 hart(s), 65536 KiB'
	expect load-other-memory 78 '--load-state: the state is of a kernel with 1 hart(s), 65536 KiB'
	expect load-other-modules 78 'modules, free-running; give the options with which it was saved'
	expect load-on-riscv 78 '--load-state: the state is of a machine for x86-64, and this guest is for riscv64'
	expect load-on-interp 69 'the guest is for x86-64, and this engine runs riscv64 guests'
	expect save-riscv 0
	expect load-riscv 78 '--load-state: the state is of a machine for riscv64, and this guest is for x86-64'
	expect load-cut 65 "--load-state: the state is damaged or cut off in hart 0's "
	expect state 0 '1..'
	expect trace-pio 0 'pio.read8(uart16550a+0x5)' 'pio.read8(0x5500) = fault' 'mmio.write64(doorbell+0x40, 0x1)'
	expect trace-inside 69 "--trace: engine kvm does not see 'irq'"
	if [ "$lost" = lost ]; then
		# AMD's processors lose the registers of a triple fault.
		expect triple 100 'guest fault: hart 0' 'triple fault' '"registers"'
	else
		expect triple 100 'guest fault: hart 0, pc 0x200006: triple fault, code' '<0f> 0b' '"r12": "0x1234"'
	fi
	expect nowhere 100 'guest fault: hart 0, pc 0xc8000000: a jump to where no memory is' '"rax": "0xc8000000"'
	expect load-nobody 100 'pc 0x200005: no device takes a load of 4 bytes at 0xd0008000' '<8b> 08 0f 0b' '"cr3": "0x30000"'
	expect store-nobody 100 'no device takes a store of 4 bytes at 0xd0008000' '89 08 <0f> 0b'
	expect misaligned 100 'pc 0x200005: no device takes a load of 8 bytes at 0xd0010002'
	expect ports 0 '"pio": '
	# Over the ends of devices and of memory; what comes out first is the part that a device sees.
	expect cross-end 100 'pc 0x200005: no device takes a load of 4 bytes at 0xd0010ffc' '<48> 8b 08 0f 0b' "$rip"
	expect cross-into 100 'pc 0x200008: no device takes a store of 4 bytes at 0xd000fffc' '48 89 08 <0f> 0b' "$rip"
	expect cross-ram 100 'pc 0x200005: no device takes a load of 4 bytes at 0x4000000' '<48> 8b 08 0f 0b' "$rip"
	expect cross-ram-store 100 'pc 0x200008: no device takes a store of 4 bytes at 0x4000000' '48 89 08 <0f> 0b' "$rip"
	expect small 100 'no device takes a store of 4 bytes at 0xd0010000' '89 08 <0f> 0b' "$rip"
	expect emulate 100 'pc 0x20000e: an instruction that KVM cannot emulate' '<df> 28 0f 0b' "$rip"
	expect device-code 100 'pc 0xd0010000: ' "$rip"
	expect device-idt 100 'guest fault: hart 0' "$rip"
	expect device-stack 100 'pc 0x200006: no device takes a store of 8 bytes at 0xd000eff8' '50 <0f> 0b' "$rip"
	expect ram-end 100 'pc 0x3ffffff: ' '<48>' "$rip"
	expect call-byte 100 'pc 0x200005: a call is an out of 4 bytes to port 0x5440, not of 1 to' '<ee> 0f 0b' "$rip"
	expect call-word 100 'pc 0x200005: a call is an out of 4 bytes to port 0x5440, not of 2 to' '<66> ef 0f 0b' "$rip"
	expect call-part 100 'pc 0x200005: a call is an out of 4 bytes to port 0x5440, not of 4 to port 0x5442' '<ef> 0f 0b' "$rip"
	expect call-string 100 'guest fault: hart 0' "$rip"
	expect string 0 'sixteen bytes, and then some more of them'
	expect killed-asleep 143 '1..'
	expect killed-asleep-4-harts 143 '1..'
	expect killed-spinning 143 '1..'
	# Nested, ten times are not reached; whatever there was of it, the results are the same.
	set -- '1..108'
	[ "$where" = nested ] || set -- '1..108' '# at least 10 times'
	expect storm 0 "$@"
	expect storm-4-harts 0 "$@"
	expect event-storm 0 ' and '
	virtio_judge "$@"
	expect harts-most 0 'Hello from 64-bit mode.'
	expect harts-many 71 '--cpus: engine kvm cannot make hart' 'of 64: Too many open files'
	expect harts-too-many 64 '--cpus'
	expect latency 0 'measured: kvm, quick'
	ladder 'function call' 'null call by the PIO doorbell' 'null call by the MMIO doorbell'
	# What a processor with SVM or VMX executes itself; sysenter in 64-bit mode is Intel's alone.
	if [ "$where" = nested ] || grep -qwE 'svm|vmx' /proc/cpuinfo; then
		ladder 'int 0x80 to the guest kernel' 'syscall to the guest kernel'
	fi
	if [ "$where" = nested ] || grep -qw svm /proc/cpuinfo; then
		expect latency 0 'sysenter to the guest kernel             n/a: the processor, or a KVM that emulates it, does not know it'
	elif grep -qw vmx /proc/cpuinfo; then
		ladder 'sysenter to the guest kernel'
	else
		expect latency 0 'int 0x80 to the guest kernel             n/a: ' 'sysenter to the guest kernel             n/a: ' \
			'syscall to the guest kernel              n/a: '
	fi
}

# The guest of virtio's shortcuts says the same with and without them, and each of its requests is one exit more without.
virtio_judge() { # what a storm's output holds
	local name spared reason
	expect virtio 0 'ok 2 - slot 0: 50 requests, 50 answers, 50 interrupts' '1..7'
	expect virtio-all 0 'ok 23 - slot 7: 50 requests' '1..28'
	for name in virtio virtio-all; do
		reason=$(diff <(grep -aE '^(not )?ok ' "$out/$name") <(grep -aE '^(not )?ok ' "$out/$name-exits") | head -n 3) || :
		verdict "$where: $name: the same without eventfds" "${reason:+differs: $reason}"
	done
	expect virtio-exits 0 '1..7'
	expect virtio-all-exits 0 '1..28'
	# Of 253 and 1303 requests. One that a reset cuts off may, or may not, still have its interrupt.
	spared=$(($(exits virtio-exits mmio) - $(exits virtio mmio)))
	verdict "$where: virtio: $spared stores are no exits" "$([ $spared -ge 200 ] && [ $spared -le 300 ] || echo "not 253")"
	spared=$(($(exits virtio-all-exits mmio) - $(exits virtio-all mmio)))
	verdict "$where: virtio-all: $spared stores are no exits" "$([ $spared -ge 1250 ] && [ $spared -le 1350 ] || echo "not 1303")"
	spared=$(($(exits virtio-exits mmio) - $(exits virtio-watched mmio)))
	expect virtio-watched 0 '1..7'
	verdict "$where: virtio: who is watched makes exits" "$([ $spared -ge -50 ] && [ $spared -le 50 ] || echo "$spared fewer")"
	expect virtio-wide 100 'no device takes a store of 8 bytes at 0xd0000050'
	expect virtio-wide-exits 100 'no device takes a store of 8 bytes at 0xd0000050'
	expect virtio-9 78 'virtio-rng: all 8 virtio-mmio slots are taken'
	expect virtio-few 0 '1..28'
	# Saved in the midst of requests, and loaded with eventfds or without: none is lost.
	expect virtio-save 143 '# ready'
	expect virtio-exits-save 143 '# ready'
	for name in virtio-load virtio-load-exits virtio-exits-load; do
		expect $name 0 '1..28'
	done
	shift
	set -- '1..28' "$@"
	expect virtio-storm 0 "$@"
	expect virtio-storm-4-harts 0 "$@"
	sed -n "s/^# \([0-9]* ns\)/  $where: \1/p" "$out/virtio" | head -n 2
	sed -n "s/^# \([0-9]* ns\)/  $where, by exits: \1/p" "$out/virtio-exits" | head -n 2
}

# Each of these steps of the ladder has a figure: its calls arrived and came back as they should, or the guest fails.
ladder() { # STEP...
	local step
	for step in "$@"; do
		verdict "$where: ladder: $step" "$(grep -aqE "^  $step +[0-9]" "$out/latency" || echo "no figure")"
	done
}

cp "$build/tollgate" "$build/kvm-state" "$work/tree/bin/"
cp "$build"/guest/x86-*.elf "$build/guest/hello.elf" "$work/tree/"
objcopy -O binary "$build/guest/x86-hello.elf" "$work/tree/x86-hello.bin"

# --- this machine ---

where=here
out=$work/here
mkdir -p "$out"
if ! "$build/tollgate" run --engine kvm -m 64M "$build/guest/x86-hello.elf" </dev/null >"$out/first" 2>&1 &&
	grep -q 'cannot open /dev/kvm\|lacks\|does not speak' "$out/first"; then
	skip "this machine" "$(sed 's/.*this guest: //' "$out/first")"
else
	sse=
	! grep -qwE 'svm|vmx' /proc/cpuinfo || sse=tg.sse
	(cd "$work/tree" && PATH=$work/tree/bin:$PATH tmp=$out sse=$sse requests="all long" sh ./tests) >"$out/log" 2>&1
	cut_log "$out/log" "$out"
	judge "$(grep -aq 'registers lost' "$out/triple" && echo lost)"
fi

# --- nested ---

nested_missing() {
	"$qemu" --version >/dev/null 2>&1 || { echo "there is no QEMU for x86 in the cache; tests/tools/qemu.sh x86 fetches it"; return; }
	sh guest/linux/fetch.sh amd64 --check || { echo "Debian's amd64 kernel is not in the cache; guest/linux/fetch.sh amd64 fetches it"; return; }
	command -v cpio >/dev/null || echo "there is no cpio"
}

cat >"$work/tree/init" <<'INIT'
#!/bin/sh
# Process 1 gets a signal for each orphan that ends, which would interrupt it while it opens a pipe: another shell tests.
[ $$ != 1 ] || {
	sh /init
	poweroff -f
}
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
for module in irqbypass kvm ccp kvm-amd; do
	insmod /lib/$module.ko
done
tmp=/tmp
requests=all # nested, each takes milliseconds on a busy machine
sse=tg.sse
. /tests
if [ -e Image ]; then
	limit=200
	t() {
		name=$1
		shift
		echo "@begin $name"
		timeout -s KILL $limit tollgate run "$@" >/tmp/out 2>&1 </dev/null
		status=$?
		cat /tmp/out
		echo
		echo "@end $name $status"
	}
	t linux -m 256M -i initramfs.cpio -p "console=ttyS0 quiet tg.init=poweroff" Image
	# The second without eventfds; the third is stopped and continued while its devices work.
	random='console=hvc0 quiet tg.run="echo traffic; head -c 50000 /dev/hwrng | wc -c; cat /proc/interrupts"'
	t linux-2-harts -m 256M -c 2 -i initramfs.cpio --device virtio-rng --report - -p "$random" Image
	t linux-exits -m 256M -c 2 -i initramfs.cpio --device virtio-rng --report - --no-eventfds -p "$random" Image
	storm_at traffic linux-storm -m 256M -c 2 -i initramfs.cpio --device virtio-rng -p "$random" Image
	resume='cat /proc/uptime; echo \# ready; read x; echo got $x; head -c 1000 /dev/hwrng | wc -c; cat /proc/uptime'
	save linux-save m-linux -m 256M -i initramfs.cpio -p "console=ttyS0 quiet tg.run=\"$resume\"" Image
	load linux-load m-linux -m 256M -i initramfs.cpio Image
	save linux-2-harts-save m-linux --console virtio -m 256M -c 2 -i initramfs.cpio -p "console=hvc0 quiet tg.run=\"$resume\"" Image
	load linux-2-harts-load m-linux --console virtio -m 256M -c 2 -i initramfs.cpio Image
fi
chmod 000 /dev/kvm
rm /dev/kvm
t no-kvm --engine kvm x86-hello.elf
t no-kvm-auto x86-hello.elf
t no-kvm-riscv -v hello.elf
INIT

nested() {
	local status=0 file
	chmod 0755 "$work/tree/init"
	cp "$host/busybox" "$work/tree/bin/"
	for applet in sh mount insmod timeout cat head mkfifo kill chmod rm poweroff; do
		ln -s busybox "$work/tree/bin/$applet"
	done
	cp "$host"/host/*.ko "$work/tree/lib/"
	# The program's libraries, at their own paths.
	ldd "$build/tollgate" | grep -oE '/[^ ]+' | while read -r file; do
		mkdir -p "$work/tree/$(dirname "$file")"
		cp -L "$file" "$work/tree/$file"
	done
	if [ "$linux" = linux ]; then
		cp "$host/Image" "$work/tree/Image"
		sh guest/linux/initramfs.sh amd64 "$work/tree/initramfs.cpio" || exit 1
	fi
	(cd "$work/tree" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initrd"
	# no_timer_check: the kernel would judge the emulated timer by loops, which fails on a busy machine.
	timeout -k 5 "$limit" "$qemu" -machine q35 -accel tcg -cpu EPYC,+svm,+npt -smp 1 -m 1G -display none -nodefaults \
		-no-reboot -serial "file:$work/log" -kernel "$host/Image" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet nokaslr no_timer_check mitigations=off panic=-1 PATH=/bin" </dev/null >"$work/qemu" 2>&1 || status=$?
	if ! grep -aq '^@begin' "$work/log"; then
		tail -n 20 "$work/qemu" "$work/log"
		verdict "nested: boot" "QEMU ended with status $status before the first test"
		return
	fi
	cut_log "$work/log" "$out"
	judge lost
	[ ! -f "$work/tree/there.state" ] || expect load-elsewhere 69 '--load-state: the guest ' 'CPUID leaf'
	expect no-kvm 69 'cannot open /dev/kvm: No such file or directory'
	expect no-kvm-auto 69 'kvm: cannot open /dev/kvm'
	expect no-kvm-riscv 0 'engine dbt' 'passed over: kvm: the guest is for riscv64'
	if [ "$linux" = linux ]; then
		expect linux 0 TOLLGATE-INIT-OK
		for name in linux-2-harts linux-exits linux-storm; do
			expect $name 0 'CPU1' 'IO-APIC' '-edge      virtio0' '-edge      virtio1' 50000 'TOLLGATE-STATUS 0'
		done
		expect linux-storm 0 '# at least 10 times'
		stores=$(($(exits linux-exits mmio) - $(exits linux-2-harts mmio)))
		reason=
		[ $stores -gt 100 ] || reason="only $stores exits fewer than without eventfds"
		verdict "$where: virtio's stores are no exits" "$reason"
		echo "  MMIO exits: $(exits linux-2-harts mmio), without eventfds $(exits linux-exits mmio)"
		expect linux-save 143 '# ready'
		expect linux-load 0 'got x' '1000' 'TOLLGATE-STATUS 0'
		expect linux-2-harts-save 143 '# ready'
		expect linux-2-harts-load 0 'got x' '1000' 'TOLLGATE-STATUS 0'
	fi
}

where=nested
sse=tg.sse
# The state of a machine on this host, for one with another processor.
[ ! -f "$work/here/m-1" ] || cp "$work/here/m-1" "$work/tree/there.state"
out=$work/nested
mkdir -p "$out"
missing=$(nested_missing)
if [ -n "$missing" ]; then
	skip "nested" "$missing"
else
	nested
fi

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
