#!/usr/bin/env python3
"""Times an encoder compiled by bertc beside four other runtimes, in one run. Not a test.

    python3 -m venv V
    V/bin/pip install torch transformers onnx onnxruntime openvino nncf ctranslate2 numpy
    bertc build MODEL --task=embed --weights=f32 --max-tokens=512 --emit=shared --name=m -o f32.so
    V/bin/python tests/bench/peers.py MODEL --threads 1 --seq 16,128 --ours fp32=f32.so:m

MODEL is a Hugging Face directory of a BERT-family encoder. Each candidate is a process of its own and is
stopped (SIGSTOP) while another has its turn. Turns alternate, so that noise affects all equally. All get the
same ids (one text, no padding) and compute every row of the last hidden state. Before timing, the mean-pooled
output of each is compared with PyTorch in fp32. The table shows the minimum in ms. A ratio is the time of the
best peer of the same precision divided by bertc's. Exports of the model are kept in --cache."""

import argparse, ctypes, json, os, pathlib, signal, subprocess, sys, time
import numpy as np

PEERS = {
    "ort-fp32": "fp32",
    "ov-fp32": "fp32",
    "torch": "fp32",
    "ct2-fp32": "fp32",
    "ov-bf16": "bf16",
    "ort-int8": "int8",
    "ov-int8": "int8",
    "ct2-int8": "int8",
}
FLOOR = {"fp32": 0.99999, "bf16": 0.999, "int8": 0.985}  # least cosine of a program that counts
CHECKED = (9, 50, 120)  # lengths that are compared with PyTorch
TURNS = 6

P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("model", type=pathlib.Path)
P.add_argument("--threads", type=int, default=1)
P.add_argument("--seq", default="8,16,32,64,128,256,512", help="tokens per text")
P.add_argument("--seconds", type=float, default=6, help="for each length, all candidates together")
P.add_argument("--ours", action="append", default=[], help="PRECISION=LIB.so:NAME; fp32, bf16 or int8")
P.add_argument("--only", default=",".join(PEERS), help="the peers to time")
P.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("~/.cache/bertc-peers").expanduser())
P.add_argument("--worker", help=argparse.SUPPRESS)
A = P.parse_args()
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(A.threads))
folder = A.cache / A.model.resolve().name


def random_ids(length):
    return np.random.default_rng(length).integers(1000, 20000, (1, length)).astype(np.int64)


def inputs(ids, names):
    known = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return {name: known[name] for name in names}


def pooled(hidden):
    mean = np.asarray(hidden, np.float64).reshape(-1, hidden.shape[-1]).mean(0)
    return mean / np.linalg.norm(mean)


def torch_model(attention="sdpa"):
    import torch
    from transformers import AutoModel

    torch.set_num_threads(A.threads)
    torch.set_grad_enabled(False)
    load = lambda how: AutoModel.from_pretrained(A.model, attn_implementation=how, dtype=torch.float32)
    try:
        return load(attention).eval()
    except ValueError:  # families with scores of their own have no sdpa
        return load("eager").eval()


# ---- exports of the model: ONNX (plain, fused, dynamic int8) and OpenVINO (static int8) --------------------


def export():
    import nncf, onnxruntime.quantization as quantization, openvino, torch
    from onnxruntime.transformers import optimizer

    model = torch_model("eager")
    names = ["input_ids", "attention_mask"]
    # XLNet without them leaves the segments out, as with its tokenizer
    takes = "token_type_ids" in model.forward.__code__.co_varnames and model.config.model_type != "xlnet"
    if takes and getattr(model.config, "type_vocab_size", 1) > 0:
        names.append("token_type_ids")

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *values):
            return self.model(**dict(zip(names, values))).last_hidden_state

    sample = inputs(np.arange(5, 21, dtype=np.int64)[None], names)
    values = tuple(torch.from_numpy(value) for value in sample.values())
    what = {"input_names": names, "output_names": ["out"], "opset_version": 17}
    try:
        axes = {name: {0: "b", 1: "s"} for name in [*names, "out"]}
        torch.onnx.export(
            Hidden(), values, str(folder / "plain.onnx"), dynamic_axes=axes, dynamo=False, **what
        )
    except Exception as error:  # some families can only be exported by the newer exporter
        print(f"torch.onnx.export without dynamo: {str(error)[:200]}", file=sys.stderr)
        length = torch.export.Dim("s", min=2, max=512)
        torch.onnx.export(
            Hidden(),
            values,
            str(folder / "plain.onnx"),
            dynamic_shapes=(({1: length},) * len(names),),
            dynamo=True,
            **what | {"opset_version": 18},
        )
    heads, hidden = model.config.num_attention_heads, model.config.hidden_size
    fused = optimizer.optimize_model(
        str(folder / "plain.onnx"), model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=1
    )
    fused.save_model_to_file(str(folder / "fused.onnx"))
    quantization.quantize_dynamic(
        str(folder / "fused.onnx"),
        str(folder / "int8.onnx"),
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        extra_options={"DefaultTensorType": 1},
    )
    samples = [
        inputs(np.random.default_rng(k).integers(5, 1000, (1, 32)).astype(np.int64), names) for k in range(30)
    ]
    graph = openvino.Core().read_model(str(folder / "plain.onnx"))
    static = nncf.quantize(
        graph, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples)
    )
    openvino.save_model(static, str(folder / "int8.xml"))


# ---- candidates: functions from ids to the last hidden state (bertc: to the pooled embedding) --------------


def run_onnxruntime(precision):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = A.threads, 1
    file = folder / ("fused.onnx" if precision == "fp32" else "int8.onnx")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return lambda ids: session.run(None, inputs(ids, names))[0]


def run_openvino(precision):
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": A.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "ENABLE_CPU_PINNING": False,
    }
    file = folder / ("int8.xml" if precision == "int8" else "plain.onnx")
    model = openvino.Core().compile_model(str(file), "CPU", settings)
    request, names = model.create_infer_request(), [i.any_name for i in model.inputs]
    return lambda ids: request.infer(inputs(ids, names), share_inputs=True, share_outputs=True)[0]


def run_torch():
    import torch

    model = torch_model()

    def run(ids):
        with torch.inference_mode():
            ids = torch.from_numpy(ids)
            return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.numpy()

    return run


def run_ctranslate2(precision):
    import ctranslate2
    from transformers import BertConfig

    kind, converted = "float32" if precision == "fp32" else "int8", folder / f"ct2-{precision}"
    BertConfig.position_embedding_type = "absolute"  # the converter reads it; transformers 5 has none
    if not converted.exists():
        converter = ctranslate2.converters.TransformersConverter(str(A.model))
        converter.convert(str(converted), quantization=kind)
    encoder = ctranslate2.Encoder(
        str(converted), device="cpu", intra_threads=A.threads, inter_threads=1, compute_type=kind
    )
    return lambda ids: np.array(encoder.forward_batch(ids.tolist()).last_hidden_state)


def run_bertc(library, prefix):
    functions = ctypes.CDLL(os.path.abspath(library))
    new, run_ids = functions[prefix + "_new"], functions[prefix + "_run_ids"]
    new.restype = ctypes.c_void_p
    context = ctypes.c_void_p(new(ctypes.c_int(A.threads)))
    config = json.loads((A.model / "config.json").read_text())
    width = next(config[key] for key in ("hidden_size", "dim", "d_model") if key in config)
    out = np.zeros(width, np.float32)
    address = lambda array: array.ctypes.data_as(ctypes.c_void_p)

    def run(ids):
        tokens, offsets = ids[0].astype(np.int32), np.array([0, ids.size], np.int32)
        status = run_ids(
            context, address(tokens), None, address(offsets), 1, address(out), ctypes.c_size_t(out.size)
        )
        if status != 0:
            raise RuntimeError(f"{library}: {prefix}_run_ids returned {status}")
        return out[None]

    return run


def candidate(name):
    if "=" in name:
        return run_bertc(*name.split("=", 1)[1].rsplit(":", 1))
    runtime, _, precision = name.partition("-")
    if runtime == "torch":
        return run_torch()
    return {"ort": run_onnxruntime, "ov": run_openvino, "ct2": run_ctranslate2}[runtime](precision)


def work(name):
    """Prints the least cosine with PyTorch, then answers each line `LENGTH SECONDS` with times in ms."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = candidate(name)
    want = np.load(folder / "want.npy")
    got = np.stack([pooled(run(random_ids(length))) for length in CHECKED])
    print(json.dumps(float((got * want).sum(1).min())), file=answers, flush=True)
    for line in sys.stdin:
        length, seconds = line.split()
        ids, times = random_ids(int(length)), []
        run(ids), run(ids)
        end = time.perf_counter() + float(seconds)
        while time.perf_counter() < end or len(times) < 2:
            began = time.perf_counter()
            run(ids)
            times.append((time.perf_counter() - began) * 1e3)
        print(json.dumps(times), file=answers, flush=True)


# ---- the parent: starts the candidates and gives them their turns ------------------------------------------


def start(name):
    """The process, stopped, and its cosine; None where the candidate cannot run."""
    command = [sys.executable, __file__, A.model, "--threads", str(A.threads), "--cache", A.cache]
    process = subprocess.Popen(
        [*map(str, command), "--worker", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if "=" in name else subprocess.DEVNULL,
        text=True,
    )
    line = process.stdout.readline()
    if not line:
        print(f"{name} cannot run and is left out", file=sys.stderr)
        return None
    process.send_signal(signal.SIGSTOP)
    return process, json.loads(line)


def turn(process, length, seconds):
    process.send_signal(signal.SIGCONT)
    process.stdin.write(f"{length} {seconds}\n")
    process.stdin.flush()
    times = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGSTOP)
    return min(times)


def measure():
    precision = {name: PEERS[name] for name in A.only.split(",") if name}
    precision |= {name: name.split("=")[0] for name in A.ours}
    running = {name: started for name in precision if (started := start(name))}
    best = {name: [] for name in running}
    lengths = A.seq.split(",")
    try:
        for length in lengths:
            seconds = A.seconds / TURNS / len(running)
            least = {name: float("inf") for name in running}
            for _ in range(TURNS):
                for name, (process, _) in running.items():
                    least[name] = min(least[name], turn(process, length, seconds))
            for name in running:
                best[name].append(least[name])
    finally:
        for process, _ in running.values():
            process.kill()
    row = lambda title, cells, cosine="": print(f"{title:24}{cosine:>10}", *(f"{c:>8}" for c in cells))
    row("ms per text, minimum", lengths, "cosine")
    for name, (_, cosine) in running.items():
        row(name, [f"{ms:.3g}" for ms in best[name]], f"{cosine:.6f}")
    for name in A.ours:
        peers = [p for p in running if p in PEERS and PEERS[p] == precision[name]]
        if running.get(name, (0, 0))[1] < FLOOR[precision[name]]:
            print(f"{name}: cosine below {FLOOR[precision[name]]}, so it does not count")
        elif peers:
            ratios = [min(times) / ms for ms, *times in zip(best[name], *(best[p] for p in peers))]
            row(f"ratio, {precision[name]}", [f"{ratio:.2f}" for ratio in ratios])


if A.worker:
    sys.exit(work(A.worker))
folder.mkdir(parents=True, exist_ok=True)
if not (folder / "int8.xml").exists():
    export()
if not (folder / "want.npy").exists():
    import torch

    hidden = [torch_model()(input_ids=torch.from_numpy(random_ids(n))).last_hidden_state for n in CHECKED]
    np.save(folder / "want.npy", np.stack([pooled(h.numpy()) for h in hidden]))
measure()
