#!/usr/bin/env python3
"""Times one LSTM over the word vectors of a text: a program of bertc, ONNX Runtime and OpenVINO, all in fp32
on one thread. Not a test.

    python3 -m venv V
    V/bin/pip install torch safetensors numpy onnx onnxruntime openvino
    taskset -c 1 V/bin/python tests/bench/lstm.py --bertc build/release/bertc

The weights are random, from a fixed seed. Turns alternate, so that noise affects all equally. Prints the best
and the median times of a text, the ratio of the best ones, and how far the numbers are from those of PyTorch:
the mean of the states in bertc, the last state in the others."""

import argparse, ctypes, json, os, pathlib, statistics, subprocess, tempfile, time

os.environ.update(OMP_NUM_THREADS="1")
P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("--bertc", default="bertc")
P.add_argument("--kind", choices=("lstm", "gru"), default="lstm")
P.add_argument("--units", type=int, default=300)
P.add_argument("--tokens", type=int, default=30)
P.add_argument("--both", action="store_true", help="both directions")
P.add_argument("--turns", type=int, default=300)
A = P.parse_args()

import numpy as np, onnx, onnxruntime, openvino, torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.manual_seed(7)
WORDS, WAYS = 1000, 2 if A.both else 1
words = torch.nn.Embedding(WORDS, 300)
kind = torch.nn.LSTM if A.kind == "lstm" else torch.nn.GRU
rnn = kind(300, A.units, batch_first=True, bidirectional=A.both)
ids = np.array([(7 * i * i + i) % WORDS for i in range(A.tokens)], np.int32)
rows = rnn(words(torch.tensor([ids.tolist()])))[0][0]
last = torch.cat([rows[-1, : A.units], rows[0, A.units :]]).numpy()
mean = torch.nn.functional.normalize(rows.mean(0), dim=0).numpy()


def student(folder):
    tensors = {f"rnn.{k}": v for k, v in rnn.state_dict().items()} | {"embeddings.weight": words.weight.data}
    save_file(tensors, folder / "model.safetensors")
    sizes = {"vocab_size": WORDS, "embedding_size": 300, "hidden_size": A.units * WAYS}
    config = {"model_type": "bilstm", "architectures": ["BilstmModel"], "bidirectional": A.both}
    config |= sizes | {"rnn_type": A.kind, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    library = folder / "m.so"
    options = ["--emit=shared", "--name=m", "--cpu=native", "--quiet"]
    subprocess.run([A.bertc, "build", folder, "-o", library, *options], check=True)
    return library


def of_bertc(folder):
    code = ctypes.CDLL(str(student(folder)))
    code.m_new.restype = ctypes.c_void_p
    context, out = ctypes.c_void_p(code.m_new(1)), np.zeros(A.units * WAYS, np.float32)
    offsets = np.array([0, A.tokens], np.int32)
    p = lambda x: x.ctypes.data_as(ctypes.c_void_p)
    values = (context, p(ids), None, p(offsets), ctypes.c_int32(1), p(out), ctypes.c_size_t(out.size))

    def run():
        assert code.m_run_ids(*values) == 0
        return out

    return run


def onnx_file(folder):
    """Gather and one LSTM or GRU: gates i o f c and z r h instead of i f g o and r z n."""
    order = (0, 3, 1, 2) if A.kind == "lstm" else (1, 0, 2)

    def tensor(part):
        both = []
        for end in ("", "_reverse")[:WAYS]:
            gates = rnn.state_dict()[f"{part}_l0{end}"].numpy().reshape(len(order), A.units, -1)
            both.append(gates[list(order)].reshape(len(order) * A.units, -1))
        return np.stack(both)

    bias = np.concatenate([tensor("bias_ih"), tensor("bias_hh")], 1)[..., 0]
    held = {"table": words.weight.numpy(), "W": tensor("weight_ih"), "R": tensor("weight_hh"), "B": bias}
    more = {"linear_before_reset": 1} if A.kind == "gru" else {}
    way = "bidirectional" if A.both else "forward"
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node(
            A.kind.upper(), ["x", "W", "R", "B"], ["", "h"], hidden_size=A.units, direction=way, **more
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "rnn",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [WAYS, 1, A.units])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "rnn.onnx")
    return str(folder / "rnn.onnx")


def of_onnxruntime(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = {"ids": ids.astype(np.int64)[:, None]}
    return lambda: session.run(None, given)[0].ravel()


def of_openvino(file):
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(file, "CPU", hints)
    request = compiled.create_infer_request()
    given = [ids.astype(np.int64)[:, None]]
    return lambda: next(iter(request.infer(given).values())).ravel()


with tempfile.TemporaryDirectory() as home:
    home = pathlib.Path(home)
    file = onnx_file(home)
    sides = {
        "bertc": of_bertc(home),
        "ONNX Runtime": of_onnxruntime(file),
        "OpenVINO": of_openvino(file),
    }
    times = {name: [] for name in sides}
    for turn in range(A.turns + 20):
        for name, run in sides.items():
            start = time.perf_counter()
            got = run()
            if turn >= 20:
                times[name].append(time.perf_counter() - start)
    print(f"{A.kind}, {A.units} units, {WAYS} direction(s), {A.tokens} tokens, one thread, microseconds")
    best = min(times["bertc"])
    for name, run in sides.items():
        least, middle = (1e6 * f(times[name]) for f in (min, statistics.median))
        far = np.abs(run() - (mean if name == "bertc" else last)).max()
        print(f"{name:<13} {least:9.1f} {middle:9.1f}  {least / best / 1e6:5.2f}x  max abs {far:.1e}")
