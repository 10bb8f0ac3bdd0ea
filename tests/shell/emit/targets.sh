# `bertc targets` lists every row of targets.def under its triple, with one baseline per triple, and every row
# of isa.def, in 80 columns. Unknown options are refused.
set -eu
"$BERTC" targets >listed
for triple in $(sed -n 's/^TARGET("\([^"]*\)".*/\1/p' "$SOURCE/codegen/targets.def"); do
	sed -n "/^$triple/,/^[^ ]/p" listed | sed '1d' | grep '^ ' >cpus ||
		{ cat listed; echo "$triple is not listed"; exit 1; }
	sed -n "s/^CPU(\"$triple\", *\"\([^\"]*\)\".*/\1/p" "$SOURCE/codegen/targets.def" |
		cmp - <(awk '{ print $1 }' cpus) ||
			{ echo "the CPUs listed for $triple differ from targets.def"; exit 1; }
	head -n 1 cpus | grep -q '(baseline)' && [ "$(grep -c '(baseline)' cpus)" -eq 1 ] ||
		{ cat cpus; echo "the baseline of $triple is not the first CPU, or not the only one"; exit 1; }
done
! grep '.\{81\}' listed || { echo "the list is wider than 80 columns"; exit 1; }
sed -n 's/^ISA([^"]*"\([^"]*\)".*/\1/p' "$SOURCE/runtime/isa.def" | while read -r name; do
	sed '1,/^Instruction sets/d' listed | grep -q "^  $name  " ||
		{ cat listed; echo "$name is not listed"; exit 1; }
done
[ "$(grep -c '(native)' listed)" -le 1 ] && [ "$(grep -c '(this machine)' listed)" -le 1 ]
awk '/cortex-a7 .*NEON with VFPv4/ { found = 1 } END { exit !found }' listed ||
	{ echo "cortex-a7 is listed without NEON"; exit 1; }
status=0
"$BERTC" targets --no-such-option >out 2>&1 || status=$?
[ $status -eq 2 ] || { cat out; echo "an unknown option: exit $status, expected 2"; exit 1; }
