"""keys.def against the installed libraries: every key that their classes read or write is in the table, or,
for config.json, known to the family. The page docs/keys.md shows the table. Other keys have a warning."""

import importlib.util, inspect, json, pathlib, re
import tokenizers, tokenizers.models, tokenizers.processors, transformers
from _support import *
from make_model import FAMILIES, TESTED, random_model

try:
    import sentence_transformers
    from sentence_transformers.base import modules as shared
    from sentence_transformers.cross_encoder import modules as scoring
    from sentence_transformers.multi_vector_encoder import modules as multiple
    from sentence_transformers.sentence_transformer import modules as embedding
    from sentence_transformers.sparse_encoder import modules as sparse
except ImportError:
    skip("no sentence-transformers")
spec = importlib.util.spec_from_file_location("keys", SOURCE / "tests" / "tools" / "keys.py")
keys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keys)
known = {}
for file, key, *_ in keys.table():
    known.setdefault(file, set()).add(key)
assert keys.PAGE.read_text() == keys.page(), "run tests/tools/keys.py --write"

module_files = shared, embedding, scoring, sparse, multiple
# modules: what they save, their arguments, and older names of these
unsaved = {"self", "args", "kwargs", "sub_modules"}
READERS = "compiler/import/sentence_transformers.c"
count = 0
obeyed = {
    "ENCODER": shared.Transformer,
    "POOLING": embedding.Pooling,
    "LAYERS": embedding.WeightedLayerPooling,
    "DENSE": shared.Dense,
    "NORM": embedding.LayerNorm,
    "UNIT": shared.Normalize,
    "DROPOUT": embedding.Dropout,
    "MASK": multiple.MultiVectorMask,
    "CLUSTERS": multiple.HierarchicalTokenPooling,
    "ROUTES": shared.Router,
    "SPLADE": sparse.SpladePooling,
    "AUTOENCODER": sparse.SparseAutoEncoder,
}
for file, cls in obeyed.items():
    read = set(inspect.signature(cls.__init__).parameters) - unsaved
    read |= set(cls.config_keys)
    read |= set(getattr(cls, "config_key_renames", {}))
    if file == "POOLING":
        read |= set(inspect.getmodule(cls)._LEGACY_POOLING_MODE_KWARGS)
    if file == "ENCODER":
        source = inspect.getsource(cls._load_init_kwargs)
        read |= set(re.findall(r'"(\w+_args)": "\w+_kwargs"', source))
        assert "tokenizer_args" in read
    assert read <= known[file], (file, read - known[file])
    count += len(read)

# the modules over words share a list
over_words = [embedding.BoW, embedding.WordEmbeddings, embedding.WordWeights, embedding.CNN, embedding.LSTM]
over_words.append(sparse.SparseStaticEmbedding)
for cls in over_words:
    read = set(cls.config_keys) | set(getattr(cls, "config_key_renames", {}))
    assert read <= known["WORDS"], (cls, read - known["WORDS"])
    count += len(read)

# modules that programs do not have
classes = {c.__name__: c for m in module_files for c in vars(m).values() if inspect.isclass(c)}
refused = set(re.findall(r'^\t\{"(\w+)", "', (SOURCE / READERS).read_text(), re.M))
assert {"LogitScore", "CLIPModel"} <= refused, refused
for name in refused & set(classes) - {c.__name__ for c in obeyed.values()}:
    cls = classes[name]
    read = set(getattr(cls, "config_keys", [])) | set(getattr(cls, "config_key_renames", {}))
    if issubclass(cls, shared.Transformer):
        assert read <= known["ENCODER"], (name, read)
        continue
    read = {f"{name}.{key}" for key in read}
    assert read <= known["OTHER"], read - known["OTHER"]
    count += len(read)
loaded = {n for n, c in classes.items() if issubclass(c, shared.Module) and c.config_keys}
others = {"BaseTokenPooling", "MLMTransformer", "Router"}
missing = loaded - refused - {c.__name__ for c in [*obeyed.values(), *over_words]} - others
assert not missing, missing

# the files of the whole
root = pathlib.Path(sentence_transformers.__file__).parent
kinds = "base", "sentence_transformer", "cross_encoder", "multi_vector_encoder", "sparse_encoder"
sources = [root / f"{p}/model.py" for p in kinds]
text = "\n".join(p.read_text() for p in sources)
settings = set(re.findall(r'\bmodel_config(?:\.get\(|\[)"(\w+)"', text))
for part in re.findall(r"def _get_model_config\(self\).*?(?=\n    def )", text, re.S):
    settings |= set(re.findall(r'^ {12}"(\w+)":', part, re.M))
    settings |= set(re.findall(r'\bconfig\["(\w+)"\] =', part))
rows = set(re.findall(r'\bmodule_config(?:\.get\(|\[)"(\w+)"', text)) | {"idx", "name", "path", "type"}
assert settings >= {"prompts", "truncate_dim", "activation_fn", "similarity_fn_name", "__version__"}, settings
assert settings <= known["SETTINGS"], settings - known["SETTINGS"]
assert rows <= known["MODULES"], rows - known["MODULES"]

# ---- tokenizers: what the parts of tokenizer.json write
SAMPLES = {
    "BertProcessing": (("[SEP]", 1), ("[CLS]", 0)),
    "RobertaProcessing": (("[SEP]", 1), ("[CLS]", 0)),
    "CharDelimiterSplit": ("_",),
    "Prepend": ("_",),
    "Replace": ("a", "b"),
    "Split": (" ", "isolated"),
    "Sequence": ([],),
    "Unigram": ([("a", -1.0)], 0, False),
    "TemplateProcessing": ("$A", "$A $B", []),
}
UNMADE = {"Precompiled"}  # needs a character map; its key is in the table
parts = set()
for folder in tokenizers.normalizers, tokenizers.pre_tokenizers, tokenizers.processors, tokenizers.models:
    for name, cls in vars(folder).items():
        base = [b.__name__ for b in getattr(cls, "__mro__", ())[1:]]
        if not {"Normalizer", "PreTokenizer", "PostProcessor", "Model"} & set(base) or name in UNMADE:
            continue
        saved = json.loads(cls(*SAMPLES.get(name, ())).__getstate__())
        parts |= {f"{saved.get('type', name)}.{key}" for key in saved if key != "type"}
whole = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, "a"))
whole.add_special_tokens(["[X]"])
whole.enable_truncation(5)
saved = json.loads(whole.to_str())
parts |= set(saved) | {f"truncation.{key}" for key in saved["truncation"]}
assert parts >= {"BPE.dropout", "Metaspace.split", "ByteLevel.use_regex", "model", "version"}, parts
assert parts <= known["TOKENIZER"], parts - known["TOKENIZER"]
assert set(saved["added_tokens"][0]) <= known["TOKEN"], saved["added_tokens"]
count += len(parts)


# ---- what the classes of tokenizers read, and write
def is_known(file, key):
    return key in known[file] or any(k[0] == "*" and key.endswith(k[1:]) for k in known[file])


base, fast = transformers.PreTrainedTokenizerBase, transformers.TokenizersBackend
functions = base.__init__, base._from_pretrained, base.save_pretrained, fast.__init__
functions += (fast.convert_to_native_format.__func__,)
text = "\n".join(inspect.getsource(f) for f in functions)
objects = "(?:local_kwargs|init_kwargs|kwargs|tokenizer_config)"
read = set(re.findall(rf'\b{objects}(?:\.get\(|\.pop\(|\.setdefault\(|\[)"(\w+)"', text))
named = re.findall(r"^CLASS\((\w+),", (SOURCE / "compiler/tokenizer/classes.def").read_text(), re.M)
found = [c for name in named if (c := getattr(transformers, f"{name}Tokenizer", None))]
assert len(found) > 15, found
for cls in found:
    read |= set(inspect.signature(cls.__init__).parameters) - unsaved
# between functions only, or of a call
inner = set("_json_padding _json_truncation _spm_precompiled_charsmap tokenizer_object".split())
inner |= set("tokenizer_padding tokenizer_truncation post_processor tokenizer fix_mistral_regex".split())
inner |= set("gguf_file commit_message repo_id save_jinja_files token filename_prefix".split())
read -= inner
assert read >= {"model_max_length", "truncation_side", "split_special_tokens", "do_lower_case"}, read
missing = {key for key in read if not is_known("TOKENIZER_CONFIG", key)}
assert not missing, missing
count += len(read)
words = {w: i for i, w in enumerate(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "a"])}
letters = {w: i for i, w in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a"])}
for number, made in enumerate(
    (
        transformers.BertTokenizer(vocab=words, extra_special_tokens=["[X]"]),
        transformers.RobertaTokenizer(vocab=letters, merges=[]),
        transformers.XLMRobertaTokenizer(vocab=[(w, -1.0) for w in letters]),
    )
):
    folder = TMP / f"tokenizer{number}"
    made.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    missing = {key for key in config if not is_known("TOKENIZER_CONFIG", key)}
    assert not missing, missing

# keys that bertc does not know have a warning, and are in the program's --about and --help
home = TMP / "odd-model"
random_model("bert", "tag", 3, home)
transformers.AutoTokenizer.from_pretrained(home).save_pretrained(home)
update = lambda objects, **keys: [o.update(keys) for o in objects]
for name, change in {
    "tokenizer.json": lambda o: update([o["normalizer"]], odd1=1) + update(o["added_tokens"], odd2=1),
    "tokenizer_config.json": lambda o: o.update(odd3=1),
    "config.json": lambda o: o.update({"odd4": 1, "": 1, "o" + "é" * 60: 1, "o" + "é" * 70: 1}),
}.items():
    value = json.loads((home / name).read_text())
    change(value)
    (home / name).write_text(json.dumps(value))
p = run(BERTC, "build", home, "-o", TMP / "odd", "--cpu=baseline")
told = p.stderr.decode()
help = run(TMP / "odd", "--help").stdout.decode()
about = json.loads(run(TMP / "odd", "--about").stdout)["model"]["unknown_keys"]
lines = f'config.json: odd4, "", o{"é" * 39}', "tokenizer_config.json: odd3"  # 80 bytes, no half of an é
lines += ("tokenizer.json: BertNormalizer.odd1, odd2",)
assert told.count("does not know") == 3, told
assert about == "; ".join(lines), about
assert "\n  " + "\n  ".join(lines) + "\n" in help, help
graph = build(home, TMP / "graph.bir", "--emit=bir", "--stop-after=canonicalize")
again = build(graph, TMP / "again.bir", "--emit=bir", f"--search={home}")
quoted = json.dumps(about, ensure_ascii=False)
assert all(f'meta "unknown_keys" {quoted}' in g.read_text() for g in (graph, again))
settings = home / "tokenizer_config.json"
old = json.loads(settings.read_text())
for key, value in ("fast_tokenizer_files", ["tokenizer.4.0.0.json"]), ("add_eos_token", True):
    settings.write_text(json.dumps(old | {key: value}))
    p = bertc("build", home, "-o", TMP / "odd.bir", "--emit=bir", check=False)
    assert (p.returncode, key in p.stderr.decode()) == ((4, True) if key[0] == "f" else (0, False)), p
(home / "tokenizer.json").unlink()  # vocab.txt is left
p = bertc("build", home, "-o", TMP / "odd.bir", "--emit=bir", check=False)
assert p.returncode == 4 and key in p.stderr.decode(), p.stderr

# config.json of each family: bertc names the keys that it does not know
home = TMP / "model"
home.mkdir()
(home / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
config = home / "config.json"
for family in TESTED:
    classes = FAMILIES[family].classes()
    if "tag" not in classes:
        continue
    own = FAMILIES[family].config()
    own.architectures = [classes["tag"].__name__]
    values = own.to_dict() | {"id2label": {"0": "O", "1": "X"}}
    for key, odd in ("", False), ("strange", True):
        config.write_text(json.dumps(values | ({key: 1} if odd else {})))
        said = bertc("describe", home, "-o", TMP / "model.xml", check=False).stderr.decode()
        assert "does the checkpoint belong to the family" in said, said  # config.json is fine
        assert ("does not know" in said) == odd and ("strange" in said) == odd, (family, said)
    count += len(values)
print(f"{count} keys")
