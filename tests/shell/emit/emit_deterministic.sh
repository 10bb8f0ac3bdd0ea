# Builds in two directories, with two spellings of the path, give the same bytes for every kind of result.
. "$SOURCE/tests/shell/emit_common.inc"
mkdir -p one another/deeper
for kind in exe lib shared c bir; do
	for place in one another/deeper; do
		(cd $place && tiny tiny && "$BERTC" build ./tiny.bir --emit=$kind --cpu=baseline --name=tiny \
			-o "$PWD/tiny.out" && rm tiny.bir)
	done
	diff -r one another/deeper || fail "--emit=$kind differs between two directories"
	[ -n "$(ls one)" ] || fail "--emit=$kind wrote no file"
	! grep -rlF -e "$PWD" one || fail "--emit=$kind: the result contains the path of its directory"
	rm -f one/* another/deeper/*
done
tiny tiny
"$BERTC" build tiny.bir --emit=c --name=tiny --save-temps=temps --quiet -o first.c
TZ=Asia/Tokyo LC_ALL=C "$BERTC" build tiny.bir --emit=c --name=tiny -o second.c
cmp first.c second.c
[ -f temps/tiny.c ] && cmp first.c temps/tiny.c
