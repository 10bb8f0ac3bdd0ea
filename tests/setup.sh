# setup.sh: sourced by ./check and ./demo. Installs missing Debian 12 packages if it can (root, or sudo
# without a password), else prints the command to run.
BUILD_PACKAGES="cmake ninja-build gcc g++ pkg-config ragel clang-19 lld-19
llvm-19-dev libclang-19-dev libclang-cpp19-dev liblld-19-dev libc6-dev
libxml2-dev libjansson-dev libutf8proc-dev liblbfgs-dev zlib1g-dev libzstd-dev"
TEST_PACKAGES="libcunit1-dev llvm-19-tools clang-format-19 strace python3 python3-venv qemu-user-static
libc6-dev-arm64-cross libgcc-12-dev-arm64-cross libc6-dev-armhf-cross libgcc-12-dev-armhf-cross"

missing_packages() { # prints those of $@ that are not installed
	comm -23 <(printf '%s\n' "$@" | sort) \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' |
		sort) | tr '\n' ' '
}

ensure_packages() {
	local missing run="" line
	command -v dpkg-query >/dev/null ||
		{ echo "not a Debian system: install what these packages hold: $*" >&2; return 0; }
	missing=$(missing_packages "$@")
	[ -z "$missing" ] && return 0
	line="apt-get update && apt-get install -y --no-install-recommends $missing"
	if [ "$(id -u)" -ne 0 ]; then
		if sudo -n true 2>/dev/null; then run="sudo -n"; else echo \
			"missing packages; run:  sudo sh -c '$line'" >&2; return 1; fi
	fi
	echo "installing: $missing"
	$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $run apt-get install -y \
	-qq 	--no-install-recommends $missing >/dev/null ||
		{ echo "could not install; run:  $line" >&2; return 1; }
}

# Finds a browser for the test of the page of `bertc inspect`. Without one that test is skipped.
ensure_browser() {
	[ -n "${CHROMIUM-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
		ensure_packages chromium || echo "no Chromium: the inspector's page is not tested" >&2
}

# Whether this Python has the modules of the tests. They are not imported, which would take seconds.
python_serves() {
	[ -n "$1" ] && "$1" -c 'import importlib.util as u, sys
sys.exit(any(not u.find_spec(m) for m in "torch transformers tokenizers numpy scipy sklearn".split()))' \
		2>/dev/null
}

# Makes a virtual environment with the packages of tests/requirements.txt. It has the file `complete` at the
# end, and disappears if anything fails.
venv_make() { # VENV REQUIREMENTS
	rm -rf "$1"
	{ python3 -m venv "$1" && "$1/bin/pip" install -q -r "$2" && python_serves "$1/bin/python" &&
		touch "$1/complete"; } >/dev/null 2>&1 || { rm -rf "$1"; return 1; }
}

# Prints the path of a Python with PyTorch and transformers, the reference of the tests: $PYTHON, or one
# that all clones share. The folder of the shared one is named after the Python and the packages. FALLBACK is
# its folder if the cache cannot be written. Prints nothing if the packages cannot be installed.
ensure_python() { # FALLBACK
	local list=${BASH_SOURCE[0]%/*}/requirements.txt cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}} venv=$1
	! python_serves "${PYTHON-}" || { echo "$PYTHON"; return; }
	[ -z "$cache" ] || ! mkdir -p "$cache/bertc" 2>/dev/null || [ ! -w "$cache/bertc" ] ||
		venv=$cache/bertc/venv-$({ python3 --version; cat "$list"; } | sha256sum | cut -c1-16)
	( # of two clones at once, one makes it and the other waits
		flock 9
		[ -e "$venv/complete" ] || venv_make "$venv" "$list"
	) 9>"$venv.lock" && echo "$venv/bin/python"
}
