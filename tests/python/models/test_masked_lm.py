"""The decoder of masked language models of every family: a checkpoint may hold its matrix, the word table or
both, and its bias under one name or two, tied or not. Compares the reference evaluator and the passes that
change tables with transformers on the same directory. Where transformers would draw random numbers, bertc
refuses and names the tensor.

    test_masked_lm.py [FAMILY...]"""

import copy, functools, itertools, random, re, shutil, sys
from _support import *
from checkpoints import *
from make_model import FAMILIES, TESTED, random_model
import transformers

torch.set_grad_enabled(False)
torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


class Case:
    """A tiny masked LM of a family, and its decoder's tensors by name."""

    def __init__(self, family):
        self.family, self.row, self.home = family, FAMILIES[family], TMP / f"{family}-home"
        keys = dict(num_hidden_layers=1, hidden_act="gelu", hidden_size=24, num_attention_heads=3)
        if "decoder_bias" in self.row.config().to_dict():
            keys["decoder_bias"] = True
        if "legacy" in self.row.config().to_dict():  # otherwise the decoder is always the word table
            keys["legacy"] = True
        if family == "deberta-v2":
            keys |= {"conv_kernel_size": 3, "conv_groups": 2}
        model, self.config = random_model(family, "fill-mask", 21, self.home, **keys)
        state = model.state_dict()
        named = dict(model.named_modules(remove_duplicate=False))
        stem = next(n for n, m in named.items() if m is model.get_output_embeddings())
        vector = (self.config.vocab_size,)
        self.decoder, self.own = f"{stem}.weight", f"{stem}.bias"
        self.table = next(n for n, m in named.items() if m is model.get_input_embeddings()) + ".weight"
        self.shared = next((k for k in state if state[k].shape == vector and k != self.own), None)
        g = torch.Generator().manual_seed(4)
        draw = lambda *shape: torch.randn(shape, generator=g)
        shape = state[self.table].shape
        self.numbers = {
            self.table: draw(*shape).half().float(),
            self.decoder: draw(*shape) * 1.5 / shape[1] ** 0.5,
            self.own: draw(*vector),
        } | ({self.shared: draw(*vector)} if self.shared else {})
        stored = load_file(self.home / "model.safetensors")
        self.rest = {k: v for k, v in stored.items() if k not in self.names}
        r = random.Random(5)
        self.batch = [[r.randrange(self.config.vocab_size) for _ in range(n)] for n in (1, 2, 12)]

    @property
    def names(self):
        return [self.table, self.decoder, self.own] + ([self.shared] if self.shared else [])

    def matrices(self):
        """For each case the stored tensors, as {name: name of the tensor that gives the numbers}."""
        t, d = self.table, self.decoder
        return {"table": {t: t}, "decoder": {d: d}, "equal": {t: t, d: t}, "both": {t: t, d: d}}

    def biases(self):
        o, s = self.own, self.shared
        if not s:
            return {"own": {o: o}, "no bias": {}}
        both = {"shared": {s: s}, "equal biases": {o: o, s: o}, "both biases": {o: o, s: s}}
        return {"own": {o: o}, "no bias": {}} | both

    def stored(self, which):
        return self.rest | {name: self.numbers[source] for name, source in which.items()}

    def write(self, which, tied, change=lambda t: t):
        """Writes a directory with these tensors. tied=None leaves tie_word_embeddings out of config.json."""
        directory = TMP / "case"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.home, directory)
        rewrite(directory, lambda t: change(self.stored(which)), tie_word_embeddings=tied)
        return directory

    @functools.cache
    def stored_model(self, matrix, bias, tied):
        """What load() returns for the directory with these rows of matrices() and biases(). Two checks use
        it; neither changes it. Without the key tie_word_embeddings, its default in the config counts."""
        if tied is None:
            return self.stored_model(matrix, bias, self.config.__class__().tie_word_embeddings)
        return self.load(self.write(self.matrices()[matrix] | self.biases()[bias], tied))

    def load(self, directory):
        """The model that transformers loads, and the names of the tensors that it reports as missing."""
        model, info = self.row.classes()["fill-mask"].from_pretrained(
            directory, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
        )
        full = {name for name, tensor in model.state_dict().items() if tensor.numel()}
        return model.eval(), full & set(info["missing_keys"])

    def logits(self, model):
        return [model(**self.row.inputs(ids)).logits[0] for ids in self.batch]

    def check(self, what, directory, model):
        want = self.logits(model)
        got = [row["logits"] for row in evaluate(directory, self.batch, "--outputs=")]
        for n, (g, w) in enumerate(zip(got, want, strict=True)):
            compare(g, w, f"{self.family}: {what}, text {n}")


def built(directory, out, *options):
    return bertc("build", directory, "-o", out, "--emit=bir", *options, check=False)


def messages(directory):
    done = built(directory, TMP / "looked.bir", "--quiet")
    return done.returncode, done.stderr.decode()


def check_stored(case):
    """Every set of tensors, tied and untied. bertc computes the numbers of transformers, or names a missing
    tensor and refuses the directory. A note reports where transformers 4.57 reads it in another way."""
    refused = 0
    sets = itertools.product((True, False, None), case.matrices().items(), case.biases().items())
    for tied, (matrix, matrices), (bias, biases) in sets:
        what = f"tied {tied}, {matrix}, {bias}"
        model, missing = case.stored_model(matrix, bias, tied)
        directory = case.write(matrices | biases, tied)
        code, said = messages(directory)
        if code:
            refused += 1
            assert code == 3 and missing and any(name in said for name in missing | set(case.names)), (
                f"{case.family}: {what}: exit {code}, missing {missing}\n{said}"
            )
            assert "error: " in said and "holds no" in said, said
            continue
        random_numbers = missing - {case.own, case.shared}
        assert not random_numbers, f"{case.family}: {what}: not refused, but {random_numbers} are random"
        case.check(what, directory, model)
        notes = said.count("transformers 4.57")
        expected = older_differs(case, tied, matrix, bias)
        assert notes == expected, f"{case.family}: {what}: {notes} notes, expected {expected}\n{said}"
    assert refused, "nothing was refused"


OLDER_SHARED = ("bert", "mobilebert", "roformer", "squeezebert", "nystromformer")


def older_differs(case, tied, matrix, bias):
    """The number of tensors that transformers 4.57.6 takes from another place, as measured. It always ties
    the matrices, and also the bias of an untied decoder. If there are two biases, BERT, MobileBERT,
    RoFormer and SqueezeBERT take the head's."""
    table = tied is not False and matrix == "both"
    both = bias == "both biases" and case.family in OLDER_SHARED
    return table + both + (tied is False and bias == "shared")


def check_forms(case):
    """DeBERTa has two forms of the head; `legacy` chooses. Of the other one, the message names the key."""
    config = case.config.to_dict()
    if "legacy" not in config:
        return
    for legacy in True, False:
        random_model(case.family, "fill-mask", 22, TMP / "form", num_hidden_layers=1, legacy=legacy)
        rewrite_config(TMP / "form", legacy=not legacy)
        code, said = messages(TMP / "form")
        assert code == 3 and f'"legacy": {str(legacy).lower()}' in said, (case.family, legacy, said)
        rewrite_config(TMP / "form", legacy=legacy)
        assert messages(TMP / "form")[0] == 0


def check_files(case):
    """Shards, half and double precision, and both under older names."""
    both = case.matrices()["both"] | case.biases().get("both biases", case.biases()["own"])
    equal = case.matrices()["equal"] | case.biases().get("equal biases", case.biases()["own"])
    half = lambda t: t | {case.decoder: t[case.decoder].half()}
    double = lambda t: {k: v.double() for k, v in t.items()}
    for tied, which, (what, change) in itertools.product(
        (True, False), (both, equal), (("f16 decoder", half), ("f64", double))
    ):
        directory = case.write(which, tied, change)
        case.check(f"tied {tied}, {what}", directory, case.load(directory)[0])
        if which is equal and tied:
            assert "4.57" not in messages(directory)[1], f"{what}: the same numbers differ"
    for tied in (True, False):
        directory = case.write(both, tied)
        model = case.load(directory)[0]
        shards(directory, 4)
        case.check(f"tied {tied}, shards", directory, model)


def shards(directory, count):
    tensors = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    places = {}
    for n in range(count):
        name = f"model-{n + 1:05}-of-{count:05}.safetensors"
        part = {k: tensors[k] for i, k in enumerate(tensors) if i % count == n}
        save_file(part, directory / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": places}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def check_shapes(case):
    """One more row in any of these tensors is refused, as by transformers, even if the tensor is not used."""
    all_of_them = case.matrices()["both"] | case.biases().get("both biases", case.biases()["own"])
    for tied, name in itertools.product((True, False), case.names):
        longer = lambda t: t | {name: torch.cat([t[name], t[name][:1]])}
        directory = case.write(all_of_them, tied, longer)
        try:
            case.load(directory)
            raise SystemExit(f"transformers loads {name} with a row more")
        except RuntimeError:
            pass
        code, said = messages(directory)
        assert code == 3 and name in said, f"tied {tied}, {name}: exit {code}\n{said}"
    directory = case.write(all_of_them, True)
    config = json.loads((directory / "config.json").read_text())
    for value in (None, 0, "false", [True]):
        (directory / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": value}))
        code, said = messages(directory)
        assert code == 3 and "tie_word_embeddings" in said, f"{value}: exit {code}\n{said}"


def whole(case, changed, directory, passes, what):
    """Compares the graph after the passes with the changed model. For an untied decoder with its own matrix,
    also compares the program."""
    graph = directory / "left.bir"  # a graph and its weight files share a folder
    build(
        directory,
        graph,
        "--emit=bir",
        f"--passes={passes}",
        f"--stop-after={passes.split('{')[0]}",
        "--outputs=",
    )
    want, what = case.logits(changed), f"{case.family}: {passes}, {what}"
    for n, (got, w) in enumerate(zip(evaluate(graph, case.batch), want, strict=True)):
        compare(next(iter(got.values())), w, f"{what}, text {n}")
    if what.endswith("tied False, both"):
        options = ("--emit=shared", "--name=m", "--outputs=", "--cpu=baseline", f"--passes={passes},O2")
        library = Library(build(directory, TMP / f"{case.family}-{passes}.so", *options), "m")
        for n, (ids, w) in enumerate(zip(case.batch, want)):
            compare(library.run([ids], w.numel()), w, f"{what}, program, text {n}")


def low_rank(table, rank):
    u, s, v = torch.linalg.svd(table.double(), full_matrices=False)
    return ((u[:, :rank] * s[:rank]) @ v[:rank]).float()


def codes(table):
    largest = table.abs().amax(1, keepdim=True)
    return (table.double() * 127 / largest.double()).round().float() * (largest / 127)


def check_tables(case):
    """factorize-embeddings and quantize-embeddings leave a decoder with its own matrix unchanged."""
    bias = case.biases()["own"]
    for tied, matrix in ((True, "table"), (True, "both"), (False, "both"), (True, "decoder")):
        model = case.stored_model(matrix, "own", tied)[0]
        directory = case.write(case.matrices()[matrix] | bias, tied)
        separate = matrix == "both"
        small = copy.deepcopy(model)
        words = small.get_input_embeddings().weight
        words.data.copy_(low_rank(words.data, 7))
        assert separate == (words is not small.get_output_embeddings().weight)
        whole(case, small, directory, "factorize-embeddings{rank=7}", f"tied {tied}, {matrix}")
        few = copy.deepcopy(model)
        for name, p in few.named_parameters():
            table = name.endswith("embeddings.weight") and p.dim() == 2
            if table and (separate or p is not few.get_input_embeddings().weight):
                p.data.copy_(codes(p.data))
        if case.row.segments(case.config):  # a single row of segments is added to the positions first
            whole(case, few, directory, "quantize-embeddings{to=int8}", f"tied {tied}, {matrix}")


def vocabulary(directory):
    """The tokens by id."""
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(directory).get_vocab()
    return sorted(ids, key=ids.get)


def check_checkpoints(case):
    """--emit=checkpoint alone, with fewer tokens, and with another element type: the new directory gives the
    same numbers in transformers as the old one."""
    sets = itertools.product((True, False), case.matrices().items(), case.biases().items())
    for tied, (matrix, matrices), (bias, biases) in sets:
        directory = case.write(matrices | biases, tied)
        if messages(directory)[0]:
            continue
        model, what = case.stored_model(matrix, bias, tied)[0], f"tied {tied}, {matrix}, {bias}"
        before = case.logits(model)
        types = (("bf16", ("--weights=bf16",)),) if bias == "own" else ()  # biases are never in bf16
        for name, options in (("alone", ()), *types):
            out = emitted(directory, *options)
            again, missing = case.load(out)
            assert missing <= {case.own, case.shared}, f"{what}, {name}: {missing}"
            case.check(f"{what}, {name}, compiled again", out, again)
            want = case.logits(rounded(model)) if options else before
            for g, w in zip(case.logits(again), want):
                compare(g, w, f"{case.family}: {what}, {name}")
        fewer_tokens(case, directory, model, what)


def rounded(model):
    """Angles of rotary positions and Nystromformer's vectors of taps stay as they are."""
    small = copy.deepcopy(model)
    for name, p in small.named_parameters():
        # the rows for distances are used in products before
        if p.dim() > 1 and not re.search(r"rel_embeddings|embed_positions|self\.conv\.", name):
            p.data.copy_(p.data.bfloat16().float())
    return small


def emitted(directory, *options):
    out = TMP / "emitted"
    shutil.rmtree(out, ignore_errors=True)
    bertc("build", directory, "--emit=checkpoint", "-o", out, "--quiet", *options)
    return out


def fewer_tokens(case, directory, model, what):
    size = case.config.vocab_size
    out = emitted(directory, f"--passes=prune-vocab{{keep={size - 9}}}")
    again, missing = case.load(out)
    assert missing <= {case.own, case.shared}, f"{what}, fewer tokens: {missing}"
    old, new = vocabulary(directory), vocabulary(out)
    columns = [old.index(token) for token in new]
    assert again.config.vocab_size == len(new) < size
    case.check(f"{what}, fewer tokens, compiled again", out, again)
    for ids, got in zip(case.batch, case.logits(again)):
        ids = [i % len(new) for i in ids]
        got = again(**case.row.inputs(ids)).logits[0]
        want = model(**case.row.inputs([columns[i] for i in ids])).logits[0][:, columns]
        compare(got, want, f"{case.family}: {what}, fewer tokens")


for family in sys.argv[1:] or [f for f in TESTED if "fill-mask" in FAMILIES[f].classes()]:
    case = Case(family)
    for check in (check_stored, check_forms, check_files, check_shapes, check_tables, check_checkpoints):
        check(case)
        print(f"ok {family}: {check.__name__}", flush=True)
