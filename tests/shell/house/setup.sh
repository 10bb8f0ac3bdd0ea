# ./check installs the packages of its tests, including Chromium, once. It continues without packages that
# cannot be installed. All clones share one Python environment. The package tools are replaced by fakes that
# record their calls.
set -eu
fail() { echo "$*"; exit 1; }
mkdir fakes browser
cat >fakes/dpkg-query <<'SH'
#!/bin/sh
for package; do grep -qx "$package" installed 2>/dev/null && echo "installed $package"; done
exit 0
SH
cat >fakes/apt-get <<'SH'
#!/bin/sh
echo "$*" >>calls
[ ! -e broken ]
SH
printf '#!/bin/sh\necho 0\n' >fakes/id
printf '#!/bin/sh\n' >browser/chromium
chmod +x fakes/* browser/*
tools=$PWD/bin; mkdir "$tools"
for tool in sh bash grep sed comm sort tr cat; do ln -s "$(command -v $tool)" "$tools"; done

# the lines of ./check that install packages, on a system without a browser
packages() {
	rm -f calls
	env -u CHROMIUM PATH="$PWD/fakes:$tools${1:+:$1}" bash -eu -c ". '$SOURCE/tests/setup.sh'; full=
		$(grep -E '^ensure_' "$SOURCE/check")" >said 2>&1
}
packages || fail "$(cat said)"
grep -q 'install .*cmake' calls || fail "cmake is not installed"
grep -q 'install .*chromium' calls || fail "Chromium is not installed"
packages "$PWD/browser"
if grep -q chromium calls; then fail "Chromium is installed again"; fi
(. "$SOURCE/tests/setup.sh"; printf '%s\n' $BUILD_PACKAGES $TEST_PACKAGES) >installed
packages "$PWD/browser"
[ ! -e calls ] || fail "nothing is missing, but apt-get was called: $(cat calls)"
touch broken
packages || fail "./check stops without Chromium"
grep -q 'no Chromium' said || fail "$(cat said)"

# the Python of the tests: a fake python3 whose virtual environments hold a pip that records its calls
mkdir -p python clone/tests
cp "$SOURCE/tests/setup.sh" "$SOURCE/tests/requirements.txt" clone/tests
cat >python/python3 <<'SH'
#!/bin/sh
case $1 in
--version) echo "Python 3.0" ;;
-m) mkdir -p "$3/bin"; cp "$PIP" "$3/bin/pip"; printf '#!/bin/sh\n' >"$3/bin/python"; chmod +x "$3/bin"/* ;;
esac
SH
printf '#!/bin/sh\necho "$*" >>"$CALLS"; sleep 0.2; [ ! -e "$CALLS.broken" ]\n' >python/pip
chmod +x python/*
export PIP=$PWD/python/pip CALLS=$PWD/pips XDG_CACHE_HOME=$PWD/cache
unset PYTHON
python() { PATH=$PWD/python:$PATH bash -eu -c ". clone/tests/setup.sh; ensure_python '$PWD/$1'"; }
installs() { [ ! -e pips ] || grep -c install pips; }
python first >one & python second >two
wait
found=$(cat one)
[[ $found == "$PWD/cache/bertc/venv-"*/bin/python ]] || fail "no shared environment: '$found'"
[ "$found" = "$(cat two)" ] || fail "two clones have two environments: $(cat one two)"
[ "$(installs)" = 1 ] || fail "two clones at once install $(installs) times"
[ "$(python third)" = "$found" ] && [ "$(installs)" = 1 ] || fail "the environment is made anew"
[ "$(PYTHON=/bin/true python third)" = /bin/true ] || fail "PYTHON is not obeyed"
echo "more==1" >>clone/tests/requirements.txt
touch pips.broken
[ -z "$(python third || true)" ] || fail "a failed installation is used"
[ "$(ls -d cache/bertc/venv-*/ | wc -l)" = 1 ] ||
	fail "a failed installation stays: $(ls cache/bertc)"
rm pips.broken
other=$(python third)
[ -n "$other" ] && [ "$other" != "$found" ] || fail "other requirements, and the same environment: $other"
[ "$(XDG_CACHE_HOME=/dev/null/none python third)" = "$PWD/third/bin/python" ] ||
	fail "no environment in the clone though the cache cannot be written"
