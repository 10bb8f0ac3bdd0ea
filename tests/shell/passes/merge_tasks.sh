#!/usr/bin/env bash
# Graphs of several tasks as one program: each head answers as in its own program and runs only the ops that
# it needs; heads are chosen or averaged.
set -u
fail() { echo "FAILED: $*"; exit 1; }
build() { "$BERTC" build --quiet --cpu=baseline "$@" 2>err || { cat err; fail "build $*"; }; }
graph() { # NAME BIAS_SEED HEAD_SEED LABELS: a layer and a classifier
	cat <<BIR
graph @$1(%ids: i32[S]) level=graph {
  %t = const rand(1) : f32[50,8]
  %w = const rand(2) : f32[24,8]
  %u = const rand(3) : f32[8,24]
  %b = const rand($2) : f32[24]
  %h = const rand($3) : f32[$4,8]
  %x = embed %t, %ids : f32[S,8]  # embeddings.word
  %y = linear %x, %w, %b : f32[S,24]  # layer.0.in
  %z = tanh %y : f32[S,24]  # layer.0.act
  %v = linear %z, %u : f32[S,8]  # layer.0.out
  %r = pool %v {mode=mean} : f32[8]  # head
  %l = linear %r, %h : f32[$4]  # head
  return $1=%l
}
BIR
}
labels() { for i in $(seq "$1"); do printf '%s"l%d"' "${comma-}" "$i"; local comma=', '; done; }
head_of() { printf 'head @%s classify single output=%s labels=[%s]\n' "$1" "$1" "$(labels "$2")"; }
one() { printf 'module @m max_tokens 64\n'; head_of "$1" "$4"; graph "$@"; }
one a 10 20 3 >a.bir; one b 11 21 3 >b.bir; one c 10 22 2 >c.bir   # a and c have the same layer
{
	printf 'module @m max_tokens 64\n'
	head_of a 3; head_of b 3; head_of c 2
	graph a 10 20 3; graph b 11 21 3; graph c 10 22 2
} >all.bir
for i in $(seq 40); do
	for j in $(seq $((i % 13))); do printf '%d ' $(((i * 17 + j * j * 3) % 50)); done
	echo
done >ids
for passes in merge-tasks,O2 merge-tasks,quantize-int8; do
	alone=${passes#merge-tasks,}
	build all.bir --passes=$passes -o all
	for task in a b c; do
		build $task.bir --passes="$alone" -o $task
		./$task --ids --logits <ids >want
		for how in "" "--batch 40" "--batch 9 --threads 3"; do
			./all --ids --logits --task=$task $how <ids | cmp - want ||
				fail "$passes: task $task and its own program give different answers ($how)"
		done
	done
	./all --ids --json <ids >json   # all heads at once
	for task in a b c; do
		paste -d' ' <(./$task --ids --json <ids | sed 's/.*"scores": {\([^}]*\)}.*/\1/') \
			<(sed 's/.*"'$task'": {[^{]*{\([^}]*\)}.*/\1/' json) |
			awk '{ n = length($0); if (substr($0, 1, (n - 1) / 2) != substr($0, (n + 3) / 2)) exit 1 }' ||
			fail "$passes: --json of $task"
	done
done
build all.bir --passes=merge-tasks,O2 -o all
./all --profile --ids --seq 8 --repeat 1 | awk '{ print $NF }' | grep layer >steps
[ "$(grep -c '^layer.0.in$' steps)" -eq 1 ] && [ "$(grep -c '^b/layer.0.in$' steps)" -eq 1 ] &&
	[ "$(wc -l <steps)" -eq "$(grep -c '' <(sort -u steps))" ] ||
	{ cat steps; fail "layers shared by two tasks exist more than once"; }
./all --ids --logits --task=a,b <ids >mean
paste -d' ' mean <(./all --ids --logits --task=a <ids) <(./all --ids --logits --task=b <ids) | tr -d '[],' |
	awk '{
		for (i = 1; i <= 3; i++) {
			d = $i - ($(i + 3) + $(i + 6)) / 2
			if (d > 1e-6 || d < -1e-6) exit 1
		}
	}' || fail "a,b is not the mean of a and b"
for bad in a,c x "" a,; do
	./all --ids --task=$bad <ids >out 2>err; [ $? -eq 2 ] || [ "$bad" = a, ] || fail "--task=$bad is accepted"
done
"$BERTC" build all.bir --quiet -o none 2>err
[ $? -eq 4 ] && grep -q 'the module has 3 graphs' err ||
	{ cat err; fail "three graphs without merge-tasks"; }

# embeddings of several tasks: --dim and --precision change all of them
embedder() { # NAME SIZE
	cat <<BIR
graph @$1(%ids: i32[S]) level=graph {
  %t = const rand($2) : f32[50,$2]
  %x = embed %t, %ids : f32[S,$2]
  %r = pool %x {mode=mean} : f32[$2]
  return $1=%r
}
BIR
}
{
	printf 'module @m max_tokens 64\nhead @a embed output=a\nhead @b embed output=b\n'
	embedder a 8; embedder b 24
} >embed.bir
build embed.bir --passes=merge-tasks,O2 -o embed
for cut in --dim=3 --precision=ubinary; do
	a=$(echo 1 2 | ./embed --ids --task=a $cut) b=$(echo 1 2 | ./embed --ids --task=b $cut)
	echo 1 2 | ./embed --ids --json $cut | grep -qF "\"heads\": {\"a\": $a, \"b\": $b}" || fail "--json $cut"
done
ranges=--ranges=[[-1,-1,-1,-1,-1,-1,-1,-1],[1,1,1,1,1,1,1,1]]
echo 1 2 | ./embed --ids --precision=int8 "$ranges" >out || fail "codes of the first task"
echo 1 2 | ./embed --ids --precision=int8 "$ranges" --json >out 2>err
[ $? -eq 2 ] && grep -q 'choose it with --task' err || { cat err; fail "ranges of one task for two"; }
echo "merged tasks are correct"
