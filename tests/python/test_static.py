"""quantize-int8{scheme=static} against PyTorch with exactly the scales, codes and biases that the pass has learnt, read from its IR. The ops alone: the same codes. Whole
models: every linear of transformers' model computes on codes, the rest stays in fp32; mean cosine, labels, and what int8 costs against fp32.
With plain C kernels and with those of this machine."""
import re
from whittling import *
from safetensors.torch import load_file

PASSES = "canonicalize,fold-const,cse,fuse,fold-const,cse,dce,quantize-int8{scheme=static data=%s attention=f32}"

def codes(x, m, z): return torch.clamp(torch.round(x * m + z), -127, 127)

class OnCodes(torch.nn.Module):
    """A linear as linear_i8 is defined: integer sums, one scale an output, a bias; rows of it where several linears were joined."""
    def __init__(self, m, z, w, scale, bias): super().__init__(); self.m, self.z, self.w, self.scale, self.bias = m, z, w.double(), scale.double(), bias.double()
    def forward(self, x): return ((codes(x, self.m, self.z).double() @ self.w.T) * self.scale + self.bias).float()
    def rows(self, first, last): return OnCodes(self.m, self.z, self.w[first:last], self.scale[first:last], self.bias[first:last])

def learnt(path, model):
    """{origin: OnCodes} of a .bir file that quantize-int8 has left."""
    tensors = load_file(str(model / "model.safetensors")) | load_file(str(path.with_suffix(".safetensors")))
    values, quantized, linears = {}, {}, {}
    for line in path.read_text().splitlines():
        if c := re.match(r"\s*(%\w+) = const @(\S+) : ", line): values[c[1]] = tensors[c[2]]
        elif c := re.match(r"\s*(%\w+) = const \[([^\]]*)\] : f32", line): values[c[1]] = torch.tensor([float(v) for v in c[2].split(",")])
        elif c := re.match(r"\s*(%\w+), %\w+ = quantize_static %\w+, (%\w+), (%\w+) ", line): quantized[c[1]] = values[c[2]], values[c[3]]
        elif c := re.match(r"\s*%\w+ = linear_i8 (%\w+), %\w+, (%\w+), (%\w+), (%\w+) .*# (\S+)", line):
            linears[c[5]] = OnCodes(*quantized[c[1]], values[c[2]], values[c[3]], values[c[4]])
    return linears

def on_codes(model, linears):
    """The model with its linears on codes; how many."""
    taken = 0
    for i, layer in enumerate(encoder(model).encoder.layer):
        a = layer.attention.self; h = a.query.out_features
        joined = {"query": linears[f"layer.{i}.attention.query"]}
        if len(joined["query"].w) == 3 * h: joined = {n: joined["query"].rows(k * h, (k + 1) * h) for k, n in enumerate(("query", "key", "value"))}; taken += 1
        else:
            kv = linears[f"layer.{i}.attention.key"]; joined |= {"key": kv.rows(0, h), "value": kv.rows(h, 2 * h)}; taken += 2
        for name, linear in joined.items(): setattr(a, name, linear)
        layer.attention.output.dense = linears[f"layer.{i}.attention.out"]; layer.intermediate.dense = linears[f"layer.{i}.ffn.in"]; layer.output.dense = linears[f"layer.{i}.ffn.out"]
        taken += 3
    if "pooler" in linears and getattr(encoder(model), "pooler", None) is not None: encoder(model).pooler.dense = linears["pooler"]; taken += 1
    return model, taken

def cosines(a, b): return np.array([float(torch.nn.functional.cosine_similarity(x.flatten(), y.flatten(), dim=0)) for x, y in zip(a, b)])

# ---- the ops alone: identity weights show the codes
K, N, S = 37, 21, 50
r = np.random.default_rng(5); floats = lambda *shape: r.standard_normal(shape).astype(np.float32)
spell = lambda x: "[" + ", ".join(f"{float(v):.9g}" for v in np.asarray(x).ravel()) + "]"
x, m, z = floats(S, K), floats(K) * 60, floats(K) * 30; x[3, 5], x[4, 6], x[5, 7] = 1e30, -1e30, 0
w, ws, b, m2, z2 = r.integers(-127, 128, (N, K)), np.abs(floats(N)) * 0.01, floats(N), floats(N) * 0.5, floats(N) * 20
for act in ("none", "relu"):
    text = (f"module @m\ngraph @main(%ids: i32[S]) level=fused {{\n  %t = const {spell(x)} : f32[{S},{K}]\n  %x = embed %t, %ids : f32[S,{K}]\n"
        f"  %m = const {spell(m)} : f32[{K}]\n  %z = const {spell(z)} : f32[{K}]\n  %q, %s = quantize_static %x, %m, %z : i8[S,{K}], f32[S]\n  %w = const {spell(w)} : i8[{N},{K}]\n"
        f"  %ws = const {spell(ws)} : f32[{N}]\n  %b = const {spell(b)} : f32[{N}]\n  %i = linear_i8 %q, %s, %w, %ws, %b {{act={act}}} : f32[S,{N}]\n  %m2 = const {spell(m2)} : f32[{N}]\n"
        f"  %z2 = const {spell(z2)} : f32[{N}]\n  %r, %u = quantize_static %i, %m2, %z2 : i8[S,{N}], f32[S]\n  %one = const {spell(np.eye(N, dtype=int))} : i8[{N},{N}]\n"
        f"  %ones = const splat(1) : f32[{N}]\n  %y = linear_i8 %r, %u, %one, %ones : f32[S,{N}]\n  return hidden=%y\n}}\n")
    path = TMP / f"op-{act}.bir"; path.write_text(text)
    for cpu in ("native", "x86-64"):
        emitted = TMP / f"op-{act}-{cpu}.so"; build(path, emitted, "--emit=shared", "--name=m", f"--cpu={cpu}")
        got = Library(emitted, "m").run([list(range(S))], S * N).reshape(S, N)
        t = lambda v: torch.tensor(np.asarray(v)); q = codes(t(x), t(m), t(z))
        y = ((q.double() @ t(w).double().T) * t(ws).double() + t(b).double()).float()
        want = codes(y.relu() if act == "relu" else y, t(m2), t(z2)).numpy()
        assert (got == want).all(), f"codes differ, act={act} cpu={cpu}: {np.abs(got - want).max()} in {(got != want).sum()} places"
print(f"quantize_static, and linear_i8 that writes codes: the same {2 * S * N} codes")

# ---- whole models
def whole(directory, model, data, limit, batch, what, cpu):
    passes = (PASSES % data).replace("attention", f"limit={limit} attention")
    path = TMP / f"{what}.bir"
    run(BERTC, "build", directory, "-o", path, "--quiet", f"--passes={passes}", "--emit=bir", "--stop-after=quantize-int8", "--outputs=")
    library = Library(build(path, TMP / f"{what}-{cpu}.so", "--emit=shared", "--name=m", f"--search={directory}", f"--cpu={cpu}"), "m")
    plain = logits(model, batch); linears = learnt(path, directory)
    emulated, taken = on_codes(model, linears)
    assert taken == len(linears), f"{what}: {len(linears)} linears on codes, {taken} of them in PyTorch: {sorted(linears)}"
    want = logits(emulated, batch); got = [torch.tensor(library.run([ids], w.numel()).reshape(w.shape)).double() for ids, w in zip(batch, want)]
    if want[0].numel() == 2:   # two logits, nearly opposite: beside the boundary the cosine of a text is that of noise, so all texts are one vector
        near = cosines([torch.cat(got)], [torch.cat(want)])
    else: near = cosines(got, want)
    far = cosines(got, plain)
    clear = clear_labels(f"{what} {cpu}", got, want) if hasattr(model, "classifier") else 1
    print(f"{what} {cpu}: {taken} linears, {len(batch)} texts: cosine with the emulation {near.mean():.6f} (least {near.min():.6f}), clear labels {clear:.2%}; "
          f"with fp32 {far.mean():.4f}, 5th percentile {np.percentile(far, 5):.4f}")
    return near.mean(), clear, far

if SHARED:
    from transformers import AutoTokenizer
    sources = {"minilm-sst2": ("sst2", "train.tsv", "dev.tsv"), "minilm-ncbi": ("ncbi_disease", "train.tsv", "devel.tsv"), "minilm-l6": ("stsb", "sts-train.tsv", "sts-dev.tsv")}
    def sentences(name, path):
        lines = path.read_text().splitlines()
        if name == "minilm-sst2": return [l.rsplit("\t", 1)[0] for l in lines[1:]]
        if name == "minilm-l6": return [l.split("\t")[5] for l in lines]
        return [" ".join(w.split("\t")[0] for w in s.splitlines()) for s in path.read_text().split("\n\n") if s.strip()]
    for directory, load in shared_models("minilm-ncbi", "minilm-l6"):
        folder, train, test = sources[directory.name]; data = SHARED / "data" / folder
        tokenizer = AutoTokenizer.from_pretrained(directory)
        batch = [tokenizer(s, truncation=True, max_length=128)["input_ids"] for s in sentences(directory.name, data / test)[:1000 if FULL else 20]]
        for cpu in ("x86-64", "native"):
            near, clear, far = whole(directory, load(), data / train, 100, batch, directory.name, cpu)
            assert near >= 0.9999 and clear >= 0.8, f"{directory.name} {cpu}: cosine {near}, {clear:.1%} of labels clear"
            assert far.mean() >= 0.985 and np.percentile(far, 5) >= 0.97, f"{directory.name} {cpu}: cosine with fp32 {far.mean()}, 5th percentile {np.percentile(far, 5)}"
else: print("no shared models beside the repository: the ops alone")
