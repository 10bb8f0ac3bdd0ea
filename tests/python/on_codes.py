"""Common code of the tests of whole models in int8: linears on 8-bit codes in PyTorch. They use exactly the
scales, codes and biases that quantize-int8 writes into the IR."""

import re
import torch
from safetensors.torch import load_file
from whittling import build, encoder


def codes(x, m, z):
    return torch.clamp(torch.round(x * m + z), -127, 127)


def product(x, w):
    """x @ w.T of codes, exact. 1024 * 127 * 128 < 2^24: f32 holds such sums."""
    parts = zip(x.split(1024, -1), w.split(1024, -1))
    return sum((a @ b.T).double() for a, b in parts)


class OnCodes(torch.nn.Module):
    """A linear by the definition of linear_i8: integer sums, one scale per output, a bias. rows() gives a
    part of joined linears. Without m and z each row of the input has a scale from its own values."""

    def __init__(self, m, z, w, scale, bias):
        super().__init__()
        self.m, self.z, self.w, self.scale, self.bias = m, z, w.float(), scale.double(), bias.double()

    def forward(self, x):
        if self.m is not None:
            return (product(codes(x, self.m, self.z), self.w) * self.scale + self.bias).float()
        largest = x.abs().amax(-1, keepdim=True)  # rows of a model are never all zero
        return (
            product(torch.round(x * (127 / largest)), self.w)
            * (largest * (1 / 127) * self.scale.float()).double()
            + self.bias
        ).float()

    def rows(self, first, last):
        return OnCodes(self.m, self.z, self.w[first:last], self.scale[first:last], self.bias[first:last])


def bir(directory, path, passes, *options):
    """Writes the IR of a model after the passes."""
    return build(directory, path, f"--passes={passes}", "--emit=bir", "--outputs=", *options)


def learnt(path, model):
    """{origin: OnCodes} of a .bir file written after quantize-int8."""
    tensors = load_file(str(model / "model.safetensors")) | load_file(str(path.with_suffix(".safetensors")))
    values, quantized, linears = {}, {}, {}
    for line in path.read_text().splitlines():
        if c := re.match(r"\s*(%\w+) = const @(\S+) : ", line):
            values[c[1]] = tensors[c[2]]
        elif c := re.match(r"\s*(%\w+) = const splat\((\S+)\) : f32\[(\d+)\]", line):
            values[c[1]] = torch.full((int(c[3]),), float(c[2]))
        elif c := re.match(r"\s*(%\w+) = const \[([^\]]*)\] : f32", line):
            values[c[1]] = torch.tensor([float(v) for v in c[2].split(",")])
        elif c := re.match(r"\s*(%\w+), %\w+ = quantize_static %\w+, (%\w+), (%\w+) ", line):
            quantized[c[1]] = values[c[2]], values[c[3]]
        elif c := re.match(r"\s*(%\w+), %\w+ = quantize %", line):
            quantized[c[1]] = None, None
        elif c := re.match(r"\s*%\w+ = linear_i8 (%\w+), %\w+, (%\w+), (%\w+)(?:, (%\w+))? .*# (\S+)", line):
            linears[c[5]] = OnCodes(
                *quantized[c[1]],
                values[c[2]],
                values[c[3]],
                values[c[4]] if c[4] else torch.zeros(len(values[c[2]])),
            )
    return linears


def on_codes(model, linears):
    """The model with its linears replaced by OnCodes, and the number of these linears."""
    taken = 0
    for i, layer in enumerate(encoder(model).encoder.layer):
        a = layer.attention.self
        h = a.query.out_features
        joined = {"query": linears[f"layer.{i}.attention.query"]}
        if len(joined["query"].w) == 3 * h:
            joined = {
                n: joined["query"].rows(k * h, (k + 1) * h) for k, n in enumerate(("query", "key", "value"))
            }
            taken += 1
        else:
            kv = linears[f"layer.{i}.attention.key"]
            joined |= {"key": kv.rows(0, h), "value": kv.rows(h, 2 * h)}
            taken += 2
        for name, linear in joined.items():
            setattr(a, name, linear)
        layer.attention.output.dense = linears[f"layer.{i}.attention.out"]
        layer.intermediate.dense = linears[f"layer.{i}.ffn.in"]
        layer.output.dense = linears[f"layer.{i}.ffn.out"]
        taken += 3
    if "pooler" in linears and getattr(encoder(model), "pooler", None) is not None:
        encoder(model).pooler.dense = linears["pooler"]
        taken += 1
    return model, taken
