"""keys.def against the installed libraries: every key that their classes read or write is in the table, or,
for config.json, known to the family. The page docs/keys.md shows the table."""

import importlib.util, inspect, json, pathlib, re
from _support import *
from make_model import FAMILIES, TESTED

try:
    import sentence_transformers
    from sentence_transformers.base import modules as shared
    from sentence_transformers.sentence_transformer import modules as embedding
except ImportError:
    skip("no sentence-transformers")
spec = importlib.util.spec_from_file_location("keys", SOURCE / "tests" / "tools" / "keys.py")
keys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keys)
known = {}
for file, key, *_ in keys.table():
    known.setdefault(file, set()).add(key)
assert keys.PAGE.read_text() == keys.page(), "run tests/tools/keys.py --write"

# modules: what they save, their arguments, and older names of these
unsaved = {"self", "args", "kwargs"}
count = 0
for file, cls in {
    "ENCODER": shared.Transformer,
    "POOLING": embedding.Pooling,
    "LAYERS": embedding.WeightedLayerPooling,
    "DENSE": shared.Dense,
    "NORM": embedding.LayerNorm,
    "UNIT": shared.Normalize,
    "DROPOUT": embedding.Dropout,
}.items():
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

# the files of the whole
root = pathlib.Path(sentence_transformers.__file__).parent
sources = [root / f"{p}/model.py" for p in ("base", "sentence_transformer", "cross_encoder")]
text = "\n".join(p.read_text() for p in sources)
settings = set(re.findall(r'\bmodel_config(?:\.get\(|\[)"(\w+)"', text))
for part in re.findall(r"def _get_model_config\(self\).*?(?=\n    def )", text, re.S):
    settings |= set(re.findall(r'^ {12}"(\w+)":', part, re.M))
    settings |= set(re.findall(r'\bconfig\["(\w+)"\] =', part))
rows = set(re.findall(r'\bmodule_config(?:\.get\(|\[)"(\w+)"', text)) | {"idx", "name", "path", "type"}
assert settings >= {"prompts", "truncate_dim", "activation_fn", "similarity_fn_name", "__version__"}, settings
assert settings <= known["SETTINGS"], settings - known["SETTINGS"]
assert rows <= known["MODULES"], rows - known["MODULES"]

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
