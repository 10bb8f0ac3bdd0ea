"""Common code of the tests of checkpoints: the reference evaluator on texts of ids, and changing files in
place."""

import atexit, functools, json, os, pathlib, subprocess
import torch
from safetensors.torch import load_file, save_file
from _support import TMP, compare, set_keys, skip
import make_bert

EVAL = pathlib.Path(os.environ["UNIT"], "test_load")
if not EVAL.exists():
    skip("the unit tests are not built")


class Evaluator:
    """The reference evaluator, without code, under the sanitizers: one process for all models of a test."""

    def __init__(self):
        self.log = TMP / "evaluator.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [EVAL, "--eval"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        atexit.register(self.end)

    def ask(self, request):
        """Sends a request and returns the first line of the answer."""
        self.process.stdin.write(request.encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the evaluator has ended after {request!r}: {self.log.read_text()}"
        return line

    def load(self, model, *options):
        """Whether the model loads, and the messages."""
        good, size = map(int, self.ask("\t".join([f"={model}", *options])).split())
        return bool(good), self.process.stdout.read(size).decode()

    def end(self):
        """Ends the process. Memory that it leaks fails the test."""
        self.process.stdin.close()
        if self.process.wait():
            print(self.log.read_text(), flush=True)
            os._exit(1)


@functools.cache
def evaluator():
    return Evaluator()


def loads(model, *options):
    """Whether the compiler loads the model, and its messages."""
    return evaluator().load(model, *options)


def refuses(home, *words):
    """Checks that the compiler refuses the model, with a message that holds all words."""
    good, messages = loads(home)
    assert not good and all(w in messages for w in words), (home, words, messages)


def evaluate(model, batch, *options):
    """The outputs of each text as {name: numbers}, by the reference evaluator. A text is a list of ids, or a
    pair of lists: ids and types."""
    good, messages = loads(model, *options)
    assert good, f"{model}: {messages}"
    columns = [text if isinstance(text, tuple) else (text,) for text in batch]
    texts = ["\t".join(" ".join(map(str, c)) for c in text) for text in columns]
    return [json.loads(evaluator().ask(text)) for text in texts]


def agree(what, got, want, tolerance=2e-5):
    """Compares two lists with one {name: numbers} per text. Names must have the same order. Returns the worst
    error as a share of the tolerance."""
    worst = 0.0
    for n, (g, w) in enumerate(zip(got, want, strict=True)):
        assert list(g) == list(w), f"{what}: outputs {list(g)}, expected {list(w)}"
        for name in w:
            error = compare(g[name], w[name].detach().double(), f"{what}, text {n}, {name}", tolerance)
            worst = max(worst, error)
    return worst


def rewrite(directory, change, **config):
    """Applies change(tensors) -> tensors to the checkpoint. Sets keys of config.json; None removes a key."""
    path = directory / "model.safetensors"
    tensors = {k: v.contiguous().clone() for k, v in change(load_file(path)).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    if config:
        rewrite_config(directory, **config)


def rewrite_config(directory, **config):
    set_keys(directory / "config.json", **config)


def pretraining(directory, layers, **keys):
    """Saves a random BERT with both heads of pre-training. Returns the model and its config."""
    from transformers import BertConfig, BertForPreTraining

    sizes = dict(vocab_size=61, hidden_size=24, num_attention_heads=3, intermediate_size=40)
    config = BertConfig(**sizes, num_hidden_layers=layers, max_position_embeddings=20, **keys)
    model = make_bert.randomize(BertForPreTraining(config), 5).eval()
    model.save_pretrained(directory)
    return model, config


def sentence_transformer(directory, sub, modes, normalize, **sizes):
    """Writes the module files of sentence-transformers around the encoder in directory/sub."""
    modules = ["Transformer", "Pooling"] + ["Normalize"] * normalize
    paths = [sub] + [f"{i}_{m}" for i, m in enumerate(modules)][1:]
    rows = [
        {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{m}"}
        for i, (m, p) in enumerate(zip(modules, paths))
    ]
    (directory / "modules.json").write_text(json.dumps(rows))
    (directory / "1_Pooling").mkdir()
    keys = {f"pooling_mode_{m}": m in modes for m in ("cls_token", "mean_tokens", "max_tokens")}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 1} | keys))
    (directory / sub / "sentence_bert_config.json").write_text(json.dumps(sizes))
