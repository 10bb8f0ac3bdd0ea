"""config.json of ModernBERT: the keys that say the same thing in two ways, their defaults, and keys that are
refused. Compares the reference evaluator with transformers on the same directory. Generates no code."""

import json
from _support import BERTC, TMP, bertc, run
from checkpoints import *
from transformers import ModernBertConfig, ModernBertForSequenceClassification as Model
from make_model import randomize

torch.set_grad_enabled(False)
torch.set_num_threads(1)
SIZES = dict(
    vocab_size=61, hidden_size=24, num_attention_heads=3, intermediate_size=20, num_hidden_layers=5,
    max_position_embeddings=40, local_attention=6, num_labels=3, pad_token_id=0, bos_token_id=1,
    eos_token_id=2, cls_token_id=1, sep_token_id=2,
)  # fmt: skip
full, local = "full_attention", "sliding_attention"
ROPE = {k: {"rope_type": "default", "rope_theta": theta} for k, theta in ((full, 50.0), (local, 7.0))}
LINEAR = {"rope_type": "linear", "factor": 3.0}
# Keys that are set in config.json; None: left out.
FORMS = {
    "as saved": {},
    "older keys": {"layer_types": None, "rope_parameters": None, "global_attn_every_n_layers": 2,
                   "global_rope_theta": 30.0, "local_rope_theta": 4.0},
    "defaults": {"layer_types": None, "rope_parameters": None, "classifier_pooling": None,
                 "classifier_activation": None, "norm_eps": None, "hidden_activation": None},
    "both": {"layer_types": [local, full, full, local, local], "global_attn_every_n_layers": 2,
             "rope_parameters": ROPE, "global_rope_theta": 3e4, "local_rope_theta": 2e4},
    "one kind": {"layer_types": [full] * 5, "rope_parameters": {full: ROPE[full]}, "local_rope_theta": 9.0},
    "part of the bases": {"rope_parameters": {full: {"rope_type": "default"}}, "global_rope_theta": 12.0},
    "scaled": {"rope_parameters": {full: ROPE[full] | LINEAR, local: ROPE[local]}},
    "scaled as before": {"rope_parameters": None, "rope_scaling": LINEAR, "global_rope_theta": 11.0},
    "scaled by the oldest key": {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
    "scaled beside parameters": {"rope_parameters": ROPE, "rope_scaling": LINEAR},
    "a window of odd size": {"local_attention": 7},
    "a window of 0": {"local_attention": 0},
    "mean": {"classifier_pooling": "mean"},
    "head_dim": {"head_dim": 8},
}  # fmt: skip
# Keys that are refused: exit code, and words of the message.
REFUSED = {
    "layer_types": [([full] * 4, 3, "5 layers"), ([full] * 4 + ["other"], 4, "layer_types[4]"),
                    ("full_attention", 3, "5 layers"), ([full] * 4 + [1], 4, "layer_types[4]")],
    "global_attn_every_n_layers": [(0, 3, "global_attn_every_n_layers"), ("3", 3, "global_attn_every")],
    "rope_parameters": [([], 3, "rope_parameters"), ({full: 3}, 3, "rope_parameters"),
                        ({full: {"rope_type": "yarn", "factor": 2.0}}, 4, "yarn"),
                        ({full: {"rope_type": "linear"}}, 3, "factor"),
                        ({full: {"rope_theta": -1.0}}, 3, "rope_theta"),
                        ({full: {"rope_theta": "1"}}, 3, "rope_theta"),
                        ({full: {"partial_rotary_factor": 0.5}}, 4, "partial_rotary_factor")],
    "classifier_pooling": [("max", 4, "classifier_pooling"), (1, 3, "classifier_pooling")],
    "classifier_activation": [("nosuch", 4, "classifier_activation")],
    "local_attention": [(-1, 3, "local_attention"), (2**40, 3, "local_attention")],
    "sliding_window": [(8, 4, "sliding_window")],
    "rope_scaling": [(2.0, 3, "rope_scaling")],
    "norm_bias": [("no", 3, "norm_bias")],
    "num_attention_heads": [(8, 3, "odd size")],
    "head_dim": [(4, 4, "head_dim")],
}  # fmt: skip


def texts():
    r = torch.Generator().manual_seed(3)
    return [torch.randint(0, 61, (n,), generator=r).tolist() for n in (1, 2, 4, 5, 8, 13, 40)]


def compare_form(name, number, keys):
    directory = TMP / f"form{number}"
    biases = {f"{part}_bias": number % 2 == 1 for part in ("norm", "mlp", "classifier")}
    config = ModernBertConfig(**SIZES, **biases)
    randomize(Model(config), 5 + number).save_pretrained(directory)
    rewrite_config(directory, **keys)
    model = Model.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
    want = [{"logits": model(torch.tensor([ids])).logits[0]} for ids in texts()]
    worst = agree(name, evaluate(directory, texts()), want)
    print(f"{name:22} worst {worst:.3f} of the tolerance", flush=True)


for number, (name, keys) in enumerate(FORMS.items()):
    compare_form(name, number, keys)
saved = (TMP / "form0" / "config.json").read_text()
for key, rows in REFUSED.items():
    for value, code, words in rows:
        wrong = json.loads(saved) | {key: value}
        if key == "global_attn_every_n_layers":
            del wrong["layer_types"]
        (TMP / "form0" / "config.json").write_text(json.dumps(wrong))
        p = bertc("build", TMP / "form0", "--emit=bir", "-o", TMP / "none.bir", check=False)
        said = p.stderr.decode()
        assert p.returncode == code and words in said, f"{key} {value}: {p.returncode} {said}"

wide = TMP / "wide"
config = ModernBertConfig(**SIZES | {"hidden_size": 512, "num_attention_heads": 1, "num_hidden_layers": 1})
Model(config).save_pretrained(wide)
rewrite_config(wide, max_position_embeddings=2**20)
p = run(BERTC, "build", wide, "--emit=bir", "-o", TMP / "none.bir", check=False)
assert p.returncode == 4 and b"--max-tokens" in p.stderr, p.stderr
run(BERTC, "build", wide, "--emit=bir", "--max-tokens=64", "-o", TMP / "short.bir")

# of the families with the same angles in all layers: rope_scaling replaces rope_parameters
from transformers import NomicBertConfig, NomicBertModel

linear = {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}
keys = {k: v for k, v in SIZES.items() if k != "local_attention"} | {"num_hidden_layers": 2}
randomize(NomicBertModel(NomicBertConfig(**keys)), 9).save_pretrained(TMP / "nomic")
whole = (TMP / "nomic" / "config.json").read_text()
for n, rope in enumerate(
    (
        {"rope_parameters": linear},
        {"rope_parameters": linear, "rope_scaling": {"rope_type": "default"}},
        {"rope_parameters": None, "rope_scaling": linear},
        {"rope_parameters": linear, "rope_scaling": {}, "rope_theta": 9.0},
        {"rope_parameters": None, "rope_theta": 9.0},
    )
):
    (TMP / "nomic" / "config.json").write_text(whole)
    rewrite_config(TMP / "nomic", **rope)
    model = NomicBertModel.from_pretrained(TMP / "nomic", attn_implementation="eager").eval()
    want = [{"hidden": model(torch.tensor([ids])).last_hidden_state[0]} for ids in texts()]
    got = [{"hidden": g["hidden"]} for g in evaluate(TMP / "nomic", texts())]
    agree(f"NomicBERT, form {n}", got, want)
