# Static programs for aarch64 and ARMv7, built here and run under qemu, against the program of this machine:
# within 1e-4.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
seq 1 32 | awk '{ printf "%s%d", (NR > 1 ? " " : ""), $1 * 7 % 60 } END { print "" }' >ids.txt
printf '5\n9 41 2\t7 7\n' >>ids.txt
"$BERTC" build tiny.bir -o here
./here --ids --logits <ids.txt >want.txt
./here --ids <ids.txt | cut -f1 >labels.txt
ran=
for row in aarch64-linux-gnu:qemu-aarch64-static:generic aarch64-linux-gnu:qemu-aarch64-static:neoverse-n1 \
	arm-linux-gnueabihf:qemu-arm-static:generic arm-linux-gnueabihf:qemu-arm-static:vfpv3-d16; do
	IFS=: read -r triple qemu cpu <<<"$row"
	command -v $qemu >/dev/null || { echo "no $qemu: skipped $triple"; continue; }
	status=0
	"$BERTC" build tiny.bir --target=$triple --cpu=$cpu -o there 2>messages || status=$?
	if [ $status -eq 4 ] && grep -q 'on Debian install' messages; then cat messages; continue; fi
	[ $status -eq 0 ] || { cat messages; fail "$triple $cpu: exit $status"; }
	$qemu ./there --ids --logits <ids.txt >got.txt
	[ "$(wc -l <got.txt)" -eq 3 ] || fail "$triple: $(wc -l <got.txt) lines"
	near want.txt got.txt || fail "$triple $cpu"
	$qemu ./there --ids <ids.txt | cut -f1 | cmp - labels.txt || fail "$triple $cpu: other labels"
	[ "$($qemu ./there --ids --logits --threads 2 <ids.txt | cmp - got.txt; echo $?)" = 0 ] ||
		fail "$triple $cpu: two threads give other bytes"
	ran+=" $triple"
done
[ -n "$ran" ] || { echo "no qemu or no cross sysroot"; exit 77; }
if [ -n "${SHARED:-}" ]; then # a real model, f16 weights
	"$BERTC" build "$SHARED/models/minilm-sst2" -o here
	text="a gripping, beautifully shot film"
	for row in aarch64-linux-gnu:qemu-aarch64-static arm-linux-gnueabihf:qemu-arm-static; do
		IFS=: read -r triple qemu <<<"$row"
		case $ran in *$triple*) ;; *) continue ;; esac
		"$BERTC" build "$SHARED/models/minilm-sst2" --target=$triple -o there
		[ "$($qemu ./there "$text" | cut -f1)" = "$(./here "$text" | cut -f1)" ] ||
			fail "$triple: another label"
		near <(./here --logits "$text") <($qemu ./there --logits "$text") || fail "$triple"
	done
fi
