# A result that would overwrite a file of its own model is refused before anything is written. For a
# description in another directory than its checkpoint, bertc prints how to build it.
. "$SOURCE/tests/shell/emit_common.inc"
mkdir model away
cp "$SOURCE"/examples/sentiment/model/*.json "$SOURCE"/examples/sentiment/model/*.safetensors model/
tiny tiny
"$BERTC" describe model -o model/model.xml --quiet
sums() { cat model/* tiny.bir | cksum; }
before=$(sums)
refused() { # FILE COMMAND WORDS...
	local file=$1 status=0; shift
	"$BERTC" "$@" -o "$file" >printed 2>&1 || status=$?
	[ $status -eq 2 ] && grep -q "^$file: error: is a file of the model" printed ||
		{ cat printed; fail "exit $status, expected 2: $* -o $file"; }
	[ "$(sums)" = "$before" ] || fail "$* -o $file changed the model"
}
refused model/config.json build model
refused model/model.safetensors build model/
refused ./model/tokenizer.json build model --emit=bir
refused model/model.xml build model/model.xml
refused model/model.safetensors build model/model.xml
refused tiny.bir build tiny.bir
refused model/config.json describe model
"$BERTC" describe model -o model/model.xml 2>notes && ! grep -q search notes ||
	fail "a description in the folder of its checkpoint: $(cat notes)"
"$BERTC" build model -o model/out.bir --emit=bir --quiet || fail "a result beside the model"
rm model/out.bir*
"$BERTC" describe model -o away/model.xml 2>notes && grep -q 'build it with --search=model$' notes ||
	fail "a description elsewhere: $(cat notes)"
"$BERTC" build away/model.xml --search=model -o away/out.bir --emit=bir --quiet ||
	fail "the description elsewhere"
