# Bad model.xml: entity bombs, paths outside the directory, nonsense. First: a description by `bertc describe`
# builds, also from another directory.
. "$SOURCE/tests/shell/bad_input_common.inc"
tiny_hf good
"$BERTC" describe good -o good/model.xml --quiet 2>said || { cat said; fail "describe"; }
"$BERTC" build good/model.xml --emit=bir -o beside.bir --quiet ||
	fail "a description in the folder of its weights does not build"
"$BERTC" describe good --quiet >elsewhere.xml 2>said
"$BERTC" build elsewhere.xml --search=good --emit=bir -o searched.bir --quiet ||
	fail "a description with --search does not build"
cmp beside.bir searched.bir 2>/dev/null || diff <(tail -n +2 beside.bir) <(tail -n +2 searched.bir) ||
	fail "a description in another directory gives another result"
refused 3 'neither in' elsewhere.xml

# xml STATUS WORDS TEXT
xml() {
	printf '%s' "$3" >good/bad.xml
	refused "$1" "$2" good/bad.xml
}
ns='xmlns="urn:bertc:model:1"'
bomb='<!ENTITY a "aaaaaaaaaa">'
previous=a
for next in b c d e f g h i j; do
	five="&$previous;&$previous;&$previous;&$previous;&$previous;"
	bomb+="<!ENTITY $next \"$five$five\">"
	previous=$next
done
xml 3 'document type declaration' "<!DOCTYPE model [$bomb]><model $ns name=\"&j;\"/>"
xml 3 'document type declaration' \
	"<!DOCTYPE model [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><model $ns><passes>&x;</passes></model>"
xml 3 'document type declaration' "<!DOCTYPE model SYSTEM \"http://127.0.0.1:1/model.dtd\"><model $ns/>"
xml 3 'well-formed' "<model $ns name=\"&undefined;\"/>"
xml 3 'well-formed' "$(yes '<model>' | head -n 5000)"
xml 3 'well-formed' '<model'
xml 3 'well-formed' ''
xml 3 'schema' '<model/>'
xml 3 'schema' \
	"<model $ns xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include href=\"/etc/passwd\"/></model>"
xml 3 'at most' "$(head -c 70000000 /dev/zero | tr '\0' ' ')"
# edited STATUS WORDS SED: the good description with one change
edited() {
	sed "$3" good/model.xml >good/bad.xml
	cmp -s good/model.xml good/bad.xml && fail "$3 changes nothing"
	refused "$1" "$2" good/bad.xml
}
edited 3 'schema' 's/layers="1"/layers="-1"/'
edited 3 'layer.1.attention.query' 's/layers="1"/layers="9"/'
edited 3 "does the description's hidden match" 's/hidden="4"/hidden="8"/'
edited 3 "does the description's labels match" 's/<label>no<.label>//'
edited 3 'schema' 's/href="model.safetensors"/href="..\/good\/model.safetensors"/'
edited 3 'schema' 's/href="model.safetensors"/href="\/etc\/passwd"/'
edited 3 'plain file name' 's/href="model.safetensors"/href=".."/'
edited 3 'other.safetensors' 's/href="model.safetensors"/href="other.safetensors"/'
edited 4 'family "gpt"' 's/family="bert"/family="gpt"/'
edited 4 'known: gelu' 's/activation="gelu"/activation="sine"/'
edited 3 'schema' 's/task="classify"/task="guess"/'
edited 3 'nosuch.weight' 's/tensors="classifier"/tensors="nosuch"/'
refused 2 '--task' good/model.xml --task=embed

# a graph: errors have the line of the XML
xml 3 'bad.xml:3: ' "<model $ns><graph>
<input id=\"ids\" type=\"i32[S]\"/>
<op name=\"pool\" id=\"y\" args=\"nothing\" mode=\"mean\" type=\"f32[4]\"/>
<output name=\"y\" value=\"y\"/></graph></model>"
xml 3 'schema' "<model $ns><graph><input id=\"a) {&#10;\" type=\"i32[S]\"/>
	<output name=\"y\" value=\"y\"/></graph></model>"
graph="<graph><input id=\"ids\" type=\"i32[S]\"/><output name=\"y\" value=\"ids\"/></graph>"
xml 3 'plain' "<model $ns><weights href=\"..\"/>$graph</model>"
