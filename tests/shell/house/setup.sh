# ./check installs the packages of its tests, including Chromium, once. It continues without packages that
# cannot be installed. The package tools are replaced by fakes that record their calls.
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
if grep -q chromium calls; then fail "Chromium is installed though it is there"; fi
(. "$SOURCE/tests/setup.sh"; printf '%s\n' $BUILD_PACKAGES $TEST_PACKAGES) >installed
packages "$PWD/browser"
[ ! -e calls ] || fail "everything is there, and yet: $(cat calls)"
touch broken
packages || fail "nothing runs without Chromium"
grep -q 'no Chromium' said || fail "$(cat said)"
