# Every example of ir/IR.md parses and verifies. An op on a line that ends in `# = [...]` computes these
# numbers. The document has every op and every attribute of the tables.
fail=0
cd "$TMP" || exit 1

# ```bir blocks go to N.bir. A fragment becomes a graph that returns the values with expected numbers; the
# numbers go to N.want.
awk '
	function finish() {
		if (fragment) print "  return " outputs "\n}" > file
		close(file); close(want)
	}
	/^```bir/ {
		inside = first = 1; n++
		file = n ".bir"; want = n ".want"
		outputs = ""; results = 0
		next
	}
	/^```/    { if (inside) finish(); inside = 0; next }
	!inside   { next }
	first     {
		first = 0
		fragment = !/^(module|graph)/
		if (fragment) print "graph @main(%ids: i32[S]) level=fused {" > file
	}
	          { print > file }
	fragment && /# = \[/ {
		outputs = outputs (results ? ", " : "") "r" results++ "=" $1   # the first of several results
		sub(/,$/, "", outputs)
		print substr($0, index($0, "# = ") + 4) > want
	}' "$SOURCE/ir/IR.md"
count=$(ls ./*.bir | wc -l)
[ "$count" -ge 24 ] || { echo "only $count examples found"; exit 1; }

for file in *.bir; do
	"$BERTC" opt "$file" --passes= >/dev/null || { echo "--- example $file"; cat "$file"; fail=1; continue; }
	[ -e "${file%.bir}.want" ] || continue
	"$BERTC" opt "$file" --passes=fold-const >folded || { fail=1; continue; }
	awk '/ = const \[/ { value = $1; sub(/.* = const /, ""); sub(/ : .*/, ""); constant[value] = $0 }
		/^  return/ { gsub(/,/, ""); for (i = 2; i <= NF; i++) { sub(/.*=/, "", $i); print constant[$i] } }' \
		folded >got
	diff got "${file%.bir}.want" || { echo "--- example $file (left: computed)"; cat "$file"; fail=1; }
done

# A heading may name several ops: "### add, sub, mul, div".
sed -n 's/^### //p' "$SOURCE/ir/IR.md" | sed 's/ (fused)//; s/, /\n/g' | sort >described
sed -n 's/^OP([A-Z0-9_]*, *"\([a-z0-9_]*\)".*/\1/p' "$SOURCE/ir/ops.def" | sort >ops
diff described ops || { echo "headings of IR.md (left) and ops.def differ"; fail=1; }
for attribute in $(sed -n 's/^ATTR(\([a-z]*\),.*/\1/p' "$SOURCE/ir/attrs.def"); do
	grep -q "$attribute" "$SOURCE/ir/IR.md" || { echo "attribute $attribute is not in IR.md"; fail=1; }
done
for word in $(sed -n 's/^WORD([A-Z]*, [A-Z_]*, *"\([a-z_]*\)").*/\1/p' "$SOURCE/ir/enums.def"); do
	grep -q "\`$word\`" "$SOURCE/ir/IR.md" || { echo "word $word is not in IR.md"; fail=1; }
done
exit $fail
