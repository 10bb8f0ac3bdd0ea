#!/usr/bin/env python3
"""Times a bertc program beside Python libraries, from strings to embeddings, all on one core. Not a test.

    bertc build MODEL --passes=quantize-int8 --max-tokens=512 -o embed
    taskset -c 1 python3 tests/bench/text.py ./embed MODEL TEXTS [--onnx int8.onnx]

TEXTS has one text per line. MODEL is an embedder with mean pooling. Prints the best of several runs:
sentences per second, MB/s of the tokenizers, and the start time of the bertc program. The sentences per
second of bertc include the start of the process; those of the others do not, and are measured with batches
of 1 and 64. The libraries are fastembed, onnxruntime with tokenizers, and sentence-transformers; missing
ones are skipped. onnxruntime needs --onnx, an ONNX export of MODEL with the inputs input_ids,
attention_mask and optionally token_type_ids."""

import argparse, importlib.util, json, os, pathlib, shutil, subprocess, tempfile, time

os.environ.update(
    OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1"
)
P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("program")
P.add_argument("model", type=pathlib.Path)
P.add_argument("texts")
P.add_argument("--onnx", type=pathlib.Path)
A = P.parse_args()
lines = pathlib.Path(A.texts).read_text(encoding="utf-8").splitlines()
have = lambda name: importlib.util.find_spec(name) is not None


def best(run, times=5):
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def ours(*options, text):
    return lambda: subprocess.run([A.program, *options], input=text, stdout=subprocess.DEVNULL, check=True)


def say(what, together=None, **one):
    print(
        f"{what:40}",
        *(f"{len(lines) / best(lambda: [f(x) for x in lines], 3):8.0f} one by one" for f in one.values()),
        *([f"{len(lines) / best(together, 3):8.0f} 64 together"] if together else []),
        "sentences/s",
        flush=True,
    )


text = "\n".join(lines).encode() + b"\n"
print(
    f"{'bertc, start included':40} {len(lines) / best(ours('--raw', text=text), 9):8.0f} sentences/s",
    flush=True,
)
begins = sorted(best(ours("--raw", text=lines[0].encode() + b"\n"), 1) for _ in range(200))
print(
    f"{'bertc, start to first answer':40} {1e3 * begins[0]:8.2f} ms, median {1e3 * begins[100]:.2f}",
    flush=True,
)
much = text * (20_000_000 // len(text) + 1)
print(
    f"{'bertc --tokenize, ids printed':40} {len(much) / best(ours('--tokenize', text=much), 3) / 1e6:8.1f} "
    "MB/s",
    flush=True,
)

if have("tokenizers"):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(A.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    some = lines * (2_000_000 // len(text) + 1)
    some_bytes = sum(len(x.encode()) + 1 for x in some)
    seconds = best(lambda: tokenizer.encode_batch(some), 3)
    print(f"{'tokenizers':40} {some_bytes / seconds / 1e6:8.1f} MB/s", flush=True)
if A.onnx and have("onnxruntime") and have("tokenizers"):
    import numpy as np, onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(A.onnx), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def by_hand(x):
        e = tokenizer.encode(x)
        given = {"input_ids": e.ids, "attention_mask": e.attention_mask, "token_type_ids": e.type_ids}
        v = session.run(None, {n: np.array([given[n]], np.int64) for n in names})[0][0].mean(0)
        return v / np.linalg.norm(v)

    say(f"onnxruntime by hand, {A.onnx.name}", one=by_hand)
if A.onnx and have("fastembed"):
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    with tempfile.TemporaryDirectory() as folder:
        for file in A.model.glob("*.json"):
            shutil.copyfile(file, pathlib.Path(folder, file.name))
        shutil.copyfile(A.onnx, pathlib.Path(folder, "model.onnx"))
        about = pathlib.Path(folder, "tokenizer_config.json")
        about.write_text(
            json.dumps(
                json.loads(about.read_text() if about.exists() else "{}")
                | {"model_max_length": 512, "max_length": 512}
            )
        )
        special = pathlib.Path(folder, "special_tokens_map.json")
        if not special.exists():
            special.write_text(
                json.dumps({f"{n}_token": f"[{n.upper()}]" for n in ("unk", "sep", "pad", "cls", "mask")})
            )
        TextEmbedding.add_custom_model(
            model="local/model",
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf="local/model"),
            dim=json.loads((A.model / "config.json").read_text())["hidden_size"],
            model_file="model.onnx",
        )
        model = TextEmbedding("local/model", specific_model_path=folder, threads=1)
        print(
            f"{'fastembed, ' + A.onnx.name:40}",
            *(
                f"{len(lines) / best(lambda: list(model.embed(lines, batch_size=n)), 3):8.0f} {n} together"
                for n in (1, 64)
            ),
            "sentences/s",
            flush=True,
        )
if have("sentence_transformers"):
    import torch

    torch.set_num_threads(1)
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(A.model), device="cpu", model_kwargs={"dtype": torch.float32})
    say("sentence-transformers, fp32", lambda: model.encode(lines, batch_size=64), one=model.encode)
