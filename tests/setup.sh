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

# Makes a Python with PyTorch and transformers in build/venv, the reference of the Python tests. Prints its
# path, or nothing if it cannot be installed.
ensure_python() {
	local venv=$1 python
	for python in "${PYTHON-}" "$venv/bin/python"; do
		[ -n "$python" ] && "$python" -c 'import torch, transformers, tokenizers, numpy, scipy, sklearn' \
			2>/dev/null && { echo "$python"; return; }
	done
	python3 -m venv "$venv" >&2 && "$venv/bin/pip" install -q torch==2.13.0 >/dev/null 2>&1 &&
		"$venv/bin/pip" install -q transformers numpy scipy scikit-learn safetensors >/dev/null 2>&1 &&
		"$venv/bin/python" -c 'import torch, transformers' 2>/dev/null && echo "$venv/bin/python"
}
