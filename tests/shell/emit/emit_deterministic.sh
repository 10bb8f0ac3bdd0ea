# Two builds in two directories, under two names of the directory, give the same bytes, whatever is emitted.
. "$SOURCE/tests/shell/emit_common.inc"
mkdir -p one another/deeper
for kind in exe lib shared c bir; do
	for place in one another/deeper; do
		(cd $place && tiny tiny && "$BERTC" build ./tiny.bir --emit=$kind --cpu=baseline --name=tiny \
			-o "$PWD/tiny.out" && rm tiny.bir)
	done
	diff -r one another/deeper || fail "--emit=$kind differs between two directories"
	[ -n "$(ls one)" ] || fail "--emit=$kind made nothing"
	! grep -rlF -e "$PWD" one || fail "--emit=$kind: the result names the directory it was made in"
	rm -f one/* another/deeper/*
done
tiny tiny
"$BERTC" build tiny.bir --emit=c --name=tiny --save-temps=temps --quiet -o first.c
TZ=Asia/Tokyo LC_ALL=C "$BERTC" build tiny.bir --emit=c --name=tiny -o second.c
cmp first.c second.c
[ -f temps/tiny.c ] && cmp first.c temps/tiny.c
