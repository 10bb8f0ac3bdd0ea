#!/usr/bin/env python3
"""Times the reranking of documents for one query, by a program of bertc and by CrossEncoder.predict of
sentence-transformers on ONNX Runtime, both in int8 and on one thread. Not a test.

    python3 -m venv V
    V/bin/pip install torch transformers sentence-transformers onnx onnxruntime numpy
    taskset -c 1 V/bin/python tests/bench/rerank.py MODEL TEXTS --bertc build/release/bertc

MODEL is a BERT-family encoder, which gets a classifier of one label with random weights from a fixed seed.
TEXTS has one document per line. ONNX Runtime takes the place of the PyTorch model in the CrossEncoder, which
tokenizes and sorts by length as always. Turns alternate, so that noise affects both equally. The time of
bertc is that of a whole process, start included; that of the other excludes loading. Prints the best times,
the ratio, and how far the scores of each are from PyTorch in fp32."""

import argparse, os, pathlib, subprocess, tempfile, time, warnings

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
os.environ.update(HF_HUB_OFFLINE="1")
P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("model", type=pathlib.Path)
P.add_argument("texts", type=pathlib.Path)
P.add_argument("--bertc", default="bertc")
P.add_argument("--documents", type=int, default=1000)
P.add_argument("--query", default="how do cells repair damaged DNA")
P.add_argument("--turns", type=int, default=5)
P.add_argument("--batch", type=int, default=32, help="of CrossEncoder.predict, whose default is 32")
A = P.parse_args()

import numpy as np, onnxruntime, onnxruntime.quantization as quantization, torch, transformers
from onnxruntime.transformers import optimizer
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.modeling_outputs import SequenceClassifierOutput

transformers.logging.set_verbosity_error()
warnings.filterwarnings("ignore")
torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.manual_seed(7)
lines = A.texts.read_text(encoding="utf-8").splitlines()
documents = [line for line in lines if line.strip() and "\t" not in line][: A.documents]
assert len(documents) == A.documents, f"{A.texts} has {len(documents)} documents, expected {A.documents}"


def cross_encoder(folder):
    model = AutoModelForSequenceClassification.from_pretrained(A.model, num_labels=1, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(A.model).save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu", max_length=512)


def export(model, folder):
    """The model in int8 as ONNX, with fused attention; its inputs."""
    names = ["input_ids", "attention_mask", "token_type_ids"]
    names = names if getattr(model.config, "type_vocab_size", 0) > 1 else names[:2]

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *values):
            return self.model(**dict(zip(names, values))).logits

    axes = {name: {0: "b", 1: "s"} for name in names} | {"out": {0: "b"}}
    plain, fused, int8 = (str(folder / f"{n}.onnx") for n in ("plain", "fused", "int8"))
    sample = tuple(torch.ones(2, 9, dtype=torch.long) for _ in names)
    what = {"input_names": names, "output_names": ["out"], "opset_version": 17, "dynamic_axes": axes}
    torch.onnx.export(Logits(), sample, plain, dynamo=False, **what)
    config = model.config
    sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
    optimizer.optimize_model(plain, model_type="bert", opt_level=1, **sizes).save_model_to_file(fused)
    options = {"DefaultTensorType": 1}
    kind = quantization.QuantType.QInt8
    quantization.quantize_dynamic(fused, int8, weight_type=kind, per_channel=True, extra_options=options)
    return int8, names


def on_onnxruntime(model, file, names):
    """Gives the model's place to a session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(**given):
        out = session.run(None, {name: given[name].numpy() for name in names})[0]
        return SequenceClassifierOutput(logits=torch.from_numpy(out))

    model.forward = forward


def timed(run):
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


with tempfile.TemporaryDirectory() as place:
    folder = pathlib.Path(place)
    encoder = cross_encoder(folder / "model")
    pairs = [(A.query, document) for document in documents]
    predict = lambda: encoder.predict(pairs, batch_size=A.batch, show_progress_bar=False)
    want = predict()
    program = folder / "rerank"
    options = "--passes=quantize-int8", "--max-tokens=512", "--quiet"
    subprocess.run([A.bertc, "build", str(folder / "model"), "-o", str(program), *options], check=True)
    given = "\n".join(documents).encode() + b"\n"
    command = [str(program), f"--query={A.query}"]
    ours = lambda: subprocess.run(command, input=given, capture_output=True, check=True).stdout
    inner = encoder[0].model
    on_onnxruntime(inner, *export(inner, folder))
    times = {"bertc": [], "CrossEncoder.predict": []}
    for _ in range(A.turns):
        seconds, printed = timed(ours)
        times["bertc"].append(seconds)
        seconds, theirs = timed(predict)
        times["CrossEncoder.predict"].append(seconds)

scores = {"bertc": np.array(printed.split(), float), "CrossEncoder.predict": theirs}
first = set(np.argsort(-want, kind="stable")[:10])
for name, seconds in times.items():
    best = set(np.argsort(-scores[name], kind="stable")[:10])
    far = np.abs(scores[name] - want).max()
    print(
        f"{name:22} {min(seconds):7.3f} s {A.documents / min(seconds):8.0f} documents/s, "
        f"largest error {far:.4f}, {len(best & first)} of the best 10"
    )
print(f"ratio {min(times['CrossEncoder.predict']) / min(times['bertc']):.2f}")
