"""`bertc describe` says what it chose and which key decided: directories that the libraries save, one key
changed at a time. The choice is what the library has after loading, where it shows."""

import json
import transformers
from _support import *
from make_model import random_model

try:
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
except ImportError:
    skip("no sentence-transformers")
count = 0


def described(home, *options):
    """what -> choice and reason. The comment of the XML says the same."""
    p = bertc("describe", home, "-o", TMP / "model.xml", *options)
    lines = [line.split("  ", 1) for line in p.stdout.decode().splitlines()]
    xml = (TMP / "model.xml").read_text()
    assert p.stdout.decode().replace("--", "- -") in xml and not p.stdout.count(str(TMP).encode())
    return {what: text.strip() for what, text in lines}


def check(home, what, choice, key, *options):
    global count
    said = described(home, *options)
    assert what in said and said[what].startswith(choice) and key in said[what], (what, choice, key, said)
    count += 1
    return said


home = TMP / "model"
model, config = random_model("bert", "classify", 3, home, num_labels=2)
for name, word, choice, key in (
    ("two", None, "softmax", "no problem_type"),
    ("multi", "multi_label_classification", "sigmoid of each", "problem_type of config.json"),
    ("number", "regression", "the numbers", "problem_type of config.json"),
):
    set_keys(home / "config.json", problem_type=word)
    check(home, "scores", choice, key)
set_keys(home / "config.json", problem_type=None)
check(home, "labels", "2 (LABEL_0, LABEL_1)", "")
check(home, "family", "bert", "model_type of config.json")
check(home, "task", "classify", 'architectures "BertForSequenceClassification"')
check(home, "task", "embed", "--task", "--task=embed")
said = check(home, "other keys", "", f'hidden_act "{config.hidden_act}"')
assert "from config.json" in said["other keys"] and "architectures" not in said["other keys"], said
set_keys(home / "config.json", layer_norm_eps=3e-7)
check(home, "other keys", "", "layer_norm_eps 3e-7")
positions = config.max_position_embeddings
check(home, "longest text", f"{positions} tokens", "max_position_embeddings of config.json")
set_keys(home / "tokenizer_config.json", model_max_length=None, max_len=9)
assert transformers.AutoTokenizer.from_pretrained(home).model_max_length == 9
check(home, "longest text", "9 tokens", "max_len of tokenizer_config.json")
set_keys(home / "tokenizer_config.json", model_max_length=8)
assert transformers.AutoTokenizer.from_pretrained(home).model_max_length == 8
check(home, "longest text", "8 tokens", "model_max_length of tokenizer_config.json")
check(home, "longest text", "7 tokens", "the option max-tokens", "--max-tokens=7")
check(home, "tokenizer", "vocab.txt", "transformers 4")
check(home, "tokenizer class", "BertTokenizer", "tokenizer_class of tokenizer_config.json")
check(home, "long texts", "keep their start", "by default")
check(home, "segments", "yes", "the class")
set_keys(home / "tokenizer_config.json", truncation_side="left", model_input_names=["input_ids"])
set_keys(home / "tokenizer_config.json", do_lower_case=False, tokenizer_class=None)
check(home, "long texts", "keep their end", "truncation_side of tokenizer_config.json")
check(home, "segments", "no", "model_input_names of tokenizer_config.json")
check(home, "letters", "as they are", "do_lower_case of tokenizer_config.json")
check(home, "tokenizer class", "BertTokenizer", 'model_type "bert" of config.json')

tagger = TMP / "tagger"
random_model("bert", "tag", 4, tagger, id2label={0: "O", 1: "S-X", 2: "B-X", 3: "I-X", 4: "E-X"})
check(tagger, "label scheme", "bioes", "prefixes of the labels")

one = TMP / "one"
random_model("bert", "classify", 5, one, num_labels=1)
check(one, "scores", "sigmoid", "one label and config.json has no problem_type")
crossed = TMP / "crossed"
CrossEncoder(str(one), device="cpu").save_pretrained(str(crossed))
set_keys(crossed / "config_sentence_transformers.json", activation_fn=None)
check(crossed, "task", "rank", "CrossEncoder")
check(crossed, "scores", "sigmoid", "no file names an activation")
path = "torch.nn.modules.activation.Tanh"
set_keys(crossed / "config.json", sbert_ce_default_activation_function=path)
check(crossed, "scores", "tanh", "sbert_ce_default_activation_function of config.json")
set_keys(crossed / "config_sentence_transformers.json", activation_fn="torch.nn.modules.linear.Identity")
check(crossed, "scores", "identity", "activation_fn of config_sentence_transformers.json")

encoder = TMP / "encoder"
_, config = random_model("bert", "encoder", 6, encoder)
word = Transformer(str(encoder))
pooling = Pooling(config.hidden_size, pooling_mode=["max", "cls"])
embedder = TMP / "embedder"
made = SentenceTransformer(modules=[word, pooling], device="cpu", prompts={"q": "a ", "d--": "b"})
made.save_pretrained(str(embedder))
set_keys(embedder / "config_sentence_transformers.json", default_prompt_name="q", truncate_dim=5)
set_keys(embedder / "sentence_bert_config.json", max_seq_length=6, do_lower_case=True)
check(embedder, "task", "embed", "modules.json")
check(embedder, "pooling", "max first", "pooling_mode of 1_Pooling/config.json")
check(embedder, "numbers", "the first 5", "truncate_dim of config_sentence_transformers.json")
check(embedder, "longest text", "6 tokens", "max_seq_length of sentence_bert_config.json")
check(embedder, "texts", "lower case", "do_lower_case of sentence_bert_config.json")
check(embedder, "prompts", "d--, document, q, query; q by default", "config_sentence_transformers.json")

rows = TMP / "rows"
MultiVectorEncoder(str(encoder), device="cpu").save_pretrained(str(rows))
check(rows, "task", "multi-vector", "modules.json")
check(rows, "scores", "maxsim", "similarity_fn_name of config_sentence_transformers.json")
(mask,) = (p.name for p in rows.glob("*_MultiVectorMask"))
set_keys(rows / mask / "config.json", skiplist_words=["!", "?"])
set_keys(rows / "sentence_bert_config.json", query_expansion={"strategy": "min", "length": 9})
check(rows, "skipped words", "2", f"skiplist_words of {mask}/config.json")
check(rows, "queries", "filled up to 9 tokens", "query_expansion of sentence_bert_config.json")
mask_of = lambda row: row["type"].endswith("MultiVectorMask")
set_keys(rows / "config_sentence_transformers.json", truncate_dim=5)
modules = json.loads((rows / "modules.json").read_text())
(rows / "modules.json").write_text(json.dumps([row for row in modules if not mask_of(row)]))
assert not {"queries", "numbers"} & set(described(rows)), "decisions that have no effect"
set_keys(rows / "config_sentence_transformers.json", model_type="ColBERT", query_length=12)
check(rows, "queries", "filled up to 9 tokens", "query_expansion of sentence_bert_config.json")
set_keys(rows / "sentence_bert_config.json", query_expansion=None)
check(rows, "queries", "filled up to 12 tokens", "query_length of config_sentence_transformers.json")

quiet = bertc("describe", embedder, "-o", TMP / "model.xml", "--quiet")
assert quiet.stdout == quiet.stderr == b"", quiet
xml = bertc("describe", embedder).stdout.decode()
assert xml.startswith("<?xml") and "\nprompts " in xml and "-->" in xml
print(f"{count} decisions")
