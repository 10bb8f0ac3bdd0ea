# Sourced by emit_*.sh and cross_*.sh: a small classifier without weights or tokenizer files, and a few checks.
set -eu

fail() { echo "$*"; exit 1; }

# tiny NAME: a model of two layers' worth of fused and plain ops, ids only
tiny() {
	cat >"$1.bir" <<'BIR'
module @tiny max_tokens 32
head @mood classify single output=logits labels=["negative", "positive", "neither"]
graph @main(%ids: i32[S], %types: i32[S]) level=graph {
  %words = const rand(1) : f32[60,24]
  %kinds = const rand(2) : f32[2,24]
  %b = const rand(3) : f32[24]
  %w = const rand(4) : f32[24,24]
  %up = const rand(5) : f16[48,24]
  %down = const rand(6) : f16[24,48]
  %out = const rand(7) : f32[3,24]
  %s = const splat(0.35355339059327373) : f32[]
  %x = embed %words, %ids : f32[S,24]
  %t = embed %kinds, %types : f32[S,24]
  %xt = add %x, %t : f32[S,24]
  %n = layernorm %xt, %b, %b {eps=1e-12} : f32[S,24]
  %q = linear %n, %w, %b : f32[S,24]  # layer.0.attention.query
  %k = linear %n, %w : f32[S,24]
  %q3 = reshape %q {shape=[S,3,8]} : f32[S,3,8]
  %k3 = reshape %k {shape=[S,3,8]} : f32[S,3,8]
  %qh = transpose %q3 {perm=[1,0,2]} : f32[3,S,8]
  %kh = transpose %k3 {perm=[1,2,0]} : f32[3,8,S]
  %scores = matmul %qh, %kh : f32[3,S,S]
  %scaled = mul %scores, %s : f32[3,S,S]
  %soft = softmax %scaled : f32[3,S,S]
  %ctx = matmul %soft, %qh : f32[3,S,8]
  %back = transpose %ctx {perm=[1,0,2]} : f32[S,3,8]
  %flat = reshape %back {shape=[S,24]} : f32[S,24]
  %res = add %flat, %n : f32[S,24]
  %norm = layernorm %res, %b, %b {eps=1e-12} : f32[S,24]
  %u = linear %norm, %up : f32[S,48]
  %r = relu %u : f32[S,48]
  %d = linear %r, %down : f32[S,24]
  %cls = pool %d {mode=first} : f32[24]
  %logits = linear %cls, %out : f32[3]
  return logits=%logits, hidden=%d
}
BIR
}

# expect STATUS command...: the exit status; messages go to the file `messages`
expect() {
	local want=$1 status=0; shift
	"$@" >output 2>messages || status=$?
	[ $status -eq "$want" ] || { cat output messages; fail "exit $status, expected $want: $*"; }
}

# says TEXT: the last command's messages hold it
says() { grep -qF -- "$1" messages || { cat messages; fail "no message with: $1"; }; }

# only FILE...: the directory `result` holds these files and nothing else, temporary ones included
only() {
	local want; want=$(printf '%s\n' "$@" | sed '/^$/d' | LC_ALL=C sort)
	[ "$(ls -A result | LC_ALL=C sort)" = "$want" ] || { ls -lA result; fail "expected in result: $*"; }
}
