#!/usr/bin/env bash
# Early exits, through the whole compiler: the output of the program; results depend only on the text itself;
# the curve; two CPUs and another architecture give the same results.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
build() { "$BERTC" build "$model" --quiet "$@" 2>err || { cat err; fail "build $*"; }; }
refuse() { expect "$1" "${@:3}"; says "$2"; } # STATUS TEXT COMMAND...
sentiment_texts 120 9 >texts
build -o plain
./plain <texts | cut -f1 >labels
paste texts labels >data.tsv
build -o exits "--passes=early-exit{data=$PWD/data.tsv l2=0.1 max-drop=50},O2" --explain
grep -q 'early-exit.*layers run on average' err || { cat err; fail "--explain prints nothing"; }
[ "$(./exits --json --set exit_entropy=0 <texts | sed 's/, "layers": 3//')" = "$(./plain --json <texts)" ] ||
	fail "with entropy 0 an answer differs from that of the whole model"
./exits --help | grep -q '^  exit_entropy=' || fail "--help lacks exit_entropy"
for entropy in 0.1 0.3 0.5 0.65; do
	./exits --json --set exit_entropy=$entropy <texts >one
	for how in "--batch 7" "--batch 120" "--batch 120 --threads 3" "--threads 2"; do
		./exits --json --set exit_entropy=$entropy $how <texts | cmp - one ||
			fail "$how: other answers at $entropy"
	done
	grep -o 'layers": .' one | sort | uniq -c
done >counts
[ "$(awk '{ print $3 }' counts | sort -u | wc -l)" -eq 3 ] ||
	{ cat counts; fail "texts end after less than three different layers"; }
[ "$(./exits --json --set exit_entropy=1 <texts | grep -c 'layers": 1')" -eq 120 ] ||
	fail "with a very large entropy, some text does not end after the first layer"
tac texts | ./exits --json --batch 50 | tac | cmp - <(./exits --json <texts) ||
	fail "the order of texts matters"
./exits --json --on-overflow=window "$(tr '\n' ' ' <texts)" | grep -q '"layers": .*"windows"' ||
	fail "a text in windows does not report its layers"
for value in nan -1 -nan inf 1e400 much 0.1x ""; do refuse 2 "its value is out of range" ./exits \
	--set exit_entropy=$value x; done
refuse 2 "no such option" ./exits --set exit_entrop=1 x
refuse 2 "no such option" ./plain --set exit_entropy=1 x

# a repeated build gives the same bytes; int8 and several CPUs work, too
build -o again --name=exits "--passes=early-exit{data=$PWD/data.tsv l2=0.1 max-drop=50},O2"
cmp exits again || fail "two builds differ"
build -o int8 "--passes=early-exit{data=$PWD/data.tsv entropy=0.4},quantize-int8"
./int8 --json <texts >one && ./int8 --json --batch 60 --threads 2 <texts | cmp - one ||
	fail "int8: other answers in a batch"
if [ "$(uname -m)" = x86_64 ]; then
	build -o cpus "--passes=early-exit{data=$PWD/data.tsv entropy=0.4},O2" --cpu=x86-64,x86-64-v3
	BERTC_CPU=x86-64 ./cpus --json <texts >one && BERTC_CPU=x86-64 ./cpus --json --batch 33 <texts |
		cmp - one || fail "baseline: other answers in a batch"
	grep -q '"layers": 3' one && grep -q '"layers": [12]' one ||
		fail "baseline: all texts end after the same layer"
fi

# with prune-tokens before, between and after the exits, in both orders of the passes: answers depend only on
# the text, and are those of the evaluator
exits="early-exit{data=$PWD/data.tsv l2=0.1 max-drop=50}"
for passes in "prune-tokens{layer=0,2 keep=0.6,2},$exits" "$exits,prune-tokens{layer=1 keep=0.5}" \
	"$exits,prune-tokens{layer=0,2 keep=0.7},quantize-int8"; do
	build -o thinned "--passes=$passes"
	for entropy in 0.1 0.3; do
		./thinned --json --set exit_entropy=$entropy <texts >one
		for how in "--batch 7" "--batch 120" "--batch 120 --threads 3" "--threads 2"; do
			./thinned --json --set exit_entropy=$entropy $how <texts | cmp - one ||
				fail "$passes: $how: other answers at $entropy"
		done
		tac texts | ./thinned --json --set exit_entropy=$entropy --batch 50 | tac | cmp - one ||
			fail "$passes: the order of texts matters"
		[ "$(grep -o 'layers": .' one | sort -u | wc -l)" -eq 3 ] ||
			fail "$passes: texts end after less than three different layers at $entropy"
	done
	./thinned --profile --seq=40 --batch 3 --repeat=2 >profile || fail "$passes: --profile"
	[[ $passes == *int8* ]] && continue
	build --emit=bir -o thinned.bir "--passes=$passes"
	for entropy in 0.1 0.4; do
		sed "s/^option @exit_entropy : f32 = .*/option @exit_entropy : f32 = $entropy/" thinned.bir >at.bir
		"$BERTC" verify at.bir --search="$model" --search=. --passes=O2 --max-tokens=40 --threads=2 \
			--max-abs=1e-4 >out 2>&1 || { cat out; fail "$passes: program and evaluator differ at $entropy"; }
	done
done

# a checkpoint cannot express it; the curve
refuse 4 "has no early exits" "$BERTC" build "$model" --quiet --emit=checkpoint \
	-o none "--passes=early-exit{data=$PWD/data.tsv entropy=0.4}"
refuse 2 "--curve is for" "$BERTC" eval "$model" --data data.tsv --curve
"$BERTC" eval "$model" --data data.tsv --limit 30 --json --curve=0.2,0.5 \
	"--passes=early-exit{data=$PWD/data.tsv entropy=0.4 l2=0.1},O2" >curve 2>err ||
	{ cat err; fail "eval --curve"; }
for what in '"exit_entropy": 0.2' '"layers": 3.0' '"score": 1.0' '"work": 1.0' '"speed_up": 1.0' \
	'"energy": "' '"default": 0.4'; do
	grep -qF -- "$what" curve || { cat curve; fail "the curve lacks $what"; }
done
refuse 2 "entropies, 0 or larger" "$BERTC" eval "$model" --data data.tsv --limit 30 --curve=0.2,x \
	"--passes=early-exit{data=$PWD/data.tsv entropy=0.4},O2"
echo "early exits are correct"
