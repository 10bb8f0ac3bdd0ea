"""Seeded random models of odd sizes for the tests; FAMILIES has one row per family. Weights, biases and
LayerNorms are so large that every tensor matters: 10 % more of any one moves the output past the
tolerance. The exception is key biases, which softmax cancels. test_golden.py checks this.

    make_model.random_model(family, kind, seed, directory, tokenizer=True, **overrides) -> (model, config)

Overrides have the names of BertConfig for every family.
"""

import dataclasses, json, os, pathlib, random, re
import torch, transformers
from make_tokenizer import write_byte_level, write_mpnet, write_wordpiece, write_xlnet

ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"]
CLASSES = {
    "encoder": "Model",
    "classify": "ForSequenceClassification",
    "multi": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "tag": "ForTokenClassification",
    "qa": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
}


def roberta_keys(r, keys):
    """Positions begin behind the padding id, most often 1; there is one kind of segment, seldom two."""
    pad = r.choice([1, 1, 1, 0, 4])
    return {
        "pad_token_id": pad,
        "vocab_size": keys["vocab_size"] + 257,
        "type_vocab_size": r.choice([1, 1, 2]),
        "max_position_embeddings": keys["max_position_embeddings"] + pad + 1,
    }


def electra_keys(r, keys):
    """Tables narrower or wider than the layers, or as wide: then there is no projection."""
    return {"embedding_size": r.choice([24, 33, 45, keys["hidden_size"]])}


def mpnet_keys(r, keys):
    """The id without a position is 1, whatever pad_token_id says; more buckets than it uses."""
    return {
        "pad_token_id": r.choice([1, 1, 3]),
        "max_position_embeddings": keys["max_position_embeddings"] + 2,
        "relative_attention_num_buckets": r.choice([32, 32, 41]),
    }


def albert_keys(r, keys):
    """Groups of layers that share weights, some of several layers; or more groups than layers use. Three
    layers at most: in deeper random models all rows become alike."""
    inner = r.choice([1, 1, 2])
    return electra_keys(r, keys) | {
        "num_hidden_layers": min(keys["num_hidden_layers"], 3 // inner),
        "num_hidden_groups": r.choice([1, 1, 2, 3]),
        "inner_group_num": inner,
    }


def mobilebert_keys(r, keys):
    """Bottlenecks of every kind, seldom none; several feed-forward networks; few layers, because a norm that
    only scales lets numbers grow. Without bottlenecks of their own, queries need one as wide as the rest."""
    return {
        "num_hidden_layers": min(keys["num_hidden_layers"], 2),
        "num_feedforward_networks": r.choice([1, 2, 3]),
        "embedding_size": r.choice([33, 45, keys["hidden_size"]]),
        "trigram_input": r.random() < 0.8,
        "use_bottleneck": r.random() < 0.8,
        "intra_bottleneck_size": keys["num_attention_heads"] * r.choice([2, 5, 9]),
        "use_bottleneck_attention": r.random() < 0.3,
        "key_query_shared_bottleneck": r.random() < 0.7,
        "normalization_type": r.choice(["no_norm", "no_norm", "layer_norm"]),
        "classifier_activation": r.random() < 0.6,
    }


def mobilebert_settle(config):
    """A bottleneck that the heads divide, and that queries can read; no more columns of words than hidden."""
    c, heads = config, config.num_attention_heads
    c.embedding_size = min(c.embedding_size, c.hidden_size)
    c.intra_bottleneck_size = max(c.intra_bottleneck_size // heads, 1) * heads
    if not c.use_bottleneck_attention and not c.key_query_shared_bottleneck:
        c.intra_bottleneck_size = c.hidden_size
    c.true_hidden_size = c.intra_bottleneck_size if c.use_bottleneck else c.hidden_size


def mobilebert_idle(name, c):
    """What transformers makes but does not read."""
    unread = c.use_bottleneck_attention and "bottleneck.attention" in name
    return unread or (not c.tie_word_embeddings and name == "cls.predictions.bias")


def mobilebert_blocks(layer):
    """The last weights of the attention and of the first feed-forward network."""
    last = [layer.attention.output.dense, (layer.ffn[0] if hasattr(layer, "ffn") else layer).output.dense]
    return [linear.weight.data for linear in last]


def deberta_keys(r, keys):
    """Products of queries, of keys or of both with rows for distances, in buckets or not, some for shorter
    distances than texts have; seldom none at all. Embeddings with positions and without."""
    relative = r.random() < 0.85
    return {
        "relative_attention": relative,
        "pos_att_type": r.choice([["c2p", "p2c"], ["p2c"], ["c2p"], "p2c| C2P"]),
        "max_relative_positions": r.choice([-1, -1, 9, 33]),
        "position_buckets": r.choice([-1, 4, 7, 12]),
        "share_att_key": r.random() < 0.5,
        "norm_rel_ebd": r.choice(["none", "layer_norm", "other | Layer_norm"] if relative else ["none"]),
        "position_biased_input": r.random() < 0.5,
        "type_vocab_size": r.choice([0, 0, 1, 3]),
        "pooler_hidden_act": r.choice(ACTIVATIONS),
        "embedding_size": r.choice([33, keys["hidden_size"], keys["hidden_size"]]),
        "legacy": r.random() < 0.5,
    }


def deberta_settle(config):
    """Sizes that follow others."""
    config.pooler_hidden_size = config.hidden_size
    if not config.legacy:
        config.embedding_size = config.hidden_size


def deberta_idle(name, c):
    """Biases that softmax cancels, factors that a LayerNorm cancels, and what no output reads. Products of
    keys keep the bias of keys."""
    kinds = c.pos_att_type if c.relative_attention else []
    alone = not c.position_biased_input and not c.type_vocab_size
    fixed = ["embed_proj.weight", "pos_key_proj.bias"] + ["word_embeddings.weight"] * alone
    fixed += ["key_proj.bias"] * ("p2c" not in kinds)
    fixed += ["rel_embeddings.weight"] * ("layer_norm" in c.norm_rel_ebd.lower())
    fixed += ["rel_embeddings.weight"] * (not kinds)
    untied = not c.tie_word_embeddings and name == "cls.predictions.bias"
    return name.endswith(tuple(fixed)) or untied


def albert_idle(name, c):
    """What no layer uses."""
    used = {int(i / (c.num_hidden_layers / c.num_hidden_groups)) for i in range(c.num_hidden_layers)}
    group = re.search(r"albert_layer_groups\.(\d+)", name)
    untied = not c.tie_word_embeddings and name == "predictions.bias"
    return untied or (group and int(group[1]) not in used)


def modernbert_keys(r, keys):
    """Heads of an even size; windows narrower than the texts; some layers local, in any order."""
    layers = keys["num_hidden_layers"] + 1
    kinds = ["full_attention", "sliding_attention"]
    bases = [{"rope_type": "default", "rope_theta": r.choice([10.0, 1e4, 1.6e5])} for _ in kinds]
    if r.random() < 0.3:
        bases[0] |= {"rope_type": "linear", "factor": r.choice([1.5, 4.0])}
    biases = ["attention", "mlp", "norm", "classifier", "decoder"]
    return {
        "hidden_size": keys["num_attention_heads"] * r.choice([2, 6, 10, 16, 34, 64]),
        "num_hidden_layers": layers,
        "layer_types": [r.choice(kinds) for _ in range(layers)],
        "rope_parameters": dict(zip(kinds, bases)),
        "local_attention": r.choice([0, 1, 6, 9, 128]),
        "classifier_pooling": r.choice(["cls", "mean"]),
        "classifier_activation": r.choice(["gelu", "tanh", "silu"]),
        "vocab_size": keys["vocab_size"] + 257,
        "pad_token_id": 1,
        **{f"{role}_token_id": 0 for role in ("bos", "cls")},
        **{f"{role}_token_id": 2 for role in ("eos", "sep")},
    } | {f"{part}_bias": r.random() < 0.3 for part in biases}


def rotary_keys(r, keys):
    """Heads of an even size; a base of rotary positions, seldom scaled."""
    rope = {"rope_type": "default", "rope_theta": r.choice([10.0, 1e3, 1e4])}
    if r.random() < 0.3:
        rope |= {"rope_type": "linear", "factor": r.choice([1.5, 4.0])}
    sizes = [2, 6, 10, 16, 34, 64]
    return {"hidden_size": keys["num_attention_heads"] * r.choice(sizes), "rope_parameters": rope}


def eurobert_keys(r, keys):
    """Heads that share keys and values; any kind of pooling."""
    shared = [n for n in range(1, keys["num_attention_heads"] + 1) if keys["num_attention_heads"] % n == 0]
    return rotary_keys(r, keys) | {
        "num_key_value_heads": r.choice(shared),
        "attention_bias": r.random() < 0.3,
        "mlp_bias": r.random() < 0.3,
        "classifier_pooling": r.choice(["late", "bos", "mean"]),
        **{f"{role}_token_id": n for n, role in enumerate(("pad", "bos", "eos", "mask"))},
    }


def rotary_settle(config):
    """The size of a head."""
    if hasattr(config, "head_dim"):
        config.head_dim = config.hidden_size // config.num_attention_heads


def eurobert_settle(config):
    """And a number of heads of keys and values that fits."""
    rotary_settle(config)
    if config.num_attention_heads % config.num_key_value_heads:
        config.num_key_value_heads = config.num_attention_heads // 2


def modernbert_settle(config):
    """An entry of layer_types for each layer."""
    config.layer_types = (config.layer_types * config.num_hidden_layers)[: config.num_hidden_layers]


def modernbert_refuses(config):
    """Windows behind the layer that drops tokens, which is layer 1."""
    local = "sliding_attention" in config.layer_types[1:]
    return ["prune-tokens"] * local


def xlnet_keys(r, keys):
    """Heads of an even size; distances that count, seldom fewer than the texts have; any kind of summary."""
    return {
        "hidden_size": keys["num_attention_heads"] * r.choice([2, 6, 8, 10, 16, 34, 64]),
        "clamp_len": r.choice([-1, -1, 5, 12]),
        "same_length": r.random() < 0.3,
        "summary_type": r.choice(["last", "last", "first", "mean", "cls_index"]),
        "summary_use_proj": r.random() < 0.7,
        "summary_activation": r.choice(["tanh", "tanh", "relu", "gelu"]),
    }


def xlnet_blocks(layer):
    """That of the attention has an axis of heads."""
    return [layer.rel_attn.o.data.flatten(1), layer.ff.layer_2.weight.data]


def xlnet_settle(config):
    """The size of a head."""
    config.d_head = config.d_model // config.n_head


@dataclasses.dataclass(frozen=True)
class Family:
    stem: str  # of transformers' class names
    without: tuple = ()  # kinds of CLASSES that the family does not have
    more: dict = dataclasses.field(default_factory=dict)  # kinds beside those of CLASSES: their classes
    names: dict = dataclasses.field(
        default_factory=dict
    )  # BertConfig's key -> this family's; None: it has none
    keys: object = lambda r, keys: {}  # what is drawn otherwise than for BERT
    segments: object = lambda config: True  # whether token_type_ids reach the model
    has_positions: bool = True  # a table with a row for each position
    limit: int = 0  # tokens of a text, where the config has no limit
    starts_behind_padding: bool = False  # the first position is the padding id + 1
    padding: object = lambda config: config.pad_token_id  # the id that has no position then
    tokenizer: object = write_wordpiece  # writes the tokenizer's files: (directory, vocabulary size, seed)
    classifies_pooled: bool = True  # the classifier reads the encoder's pooler
    pair: tuple = ()  # of ForPreTraining's second head: name of the output, key of transformers, labels
    unread: tuple = ()  # ends of the names of parameters that bertc does not read
    idle: object = lambda name, config: False  # parameters by which no output changes
    refuses: object = lambda config: ()  # passes that are refused on every kind of model
    settle: object = lambda config: None  # makes keys fit again after some were set
    gain: object = lambda name, config: 1  # factor on a parameter of random models
    blocks: object = None  # the last weights of a layer's attention and feed-forward network; None: the last

    def classes(self):
        """kind -> class of transformers."""
        names = {kind: self.stem + name for kind, name in CLASSES.items() if kind not in self.without}
        names |= self.more
        return {kind: getattr(transformers, name) for kind, name in names.items()}

    def config(self, **keys):
        return getattr(transformers, self.stem + "Config")(**self.own(keys))

    def own(self, keys):
        """BertConfig's keys under this family's names."""
        return {self.names.get(k, k): v for k, v in keys.items() if self.names.get(k, k)}

    def unshared(self, keys):
        """Keys with which every layer has its own weights."""
        own = {"num_hidden_groups": keys["num_hidden_layers"], "inner_group_num": 1}
        return keys | own if "num_hidden_groups" in self.config().to_dict() else keys

    def longest(self, config):
        """Tokens of the longest text."""
        if self.limit:
            return self.limit
        first = self.padding(config) + 1 if self.starts_behind_padding else 0
        return config.max_position_embeddings - first

    def inputs(self, ids, types=None):
        """One unpadded text as the model's arguments."""
        given = {
            "input_ids": torch.tensor([ids]),
            "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
        }
        if types:
            given["token_type_ids"] = torch.tensor([types])
        return given


def roberta(stem):
    return Family(
        stem,
        segments=lambda config: config.type_vocab_size > 1,
        classifies_pooled=False,
        keys=roberta_keys,
        starts_behind_padding=True,
        tokenizer=write_byte_level,
        idle=lambda name, c: not c.tie_word_embeddings and name == "lm_head.bias",
    )


# The next family is one row.
FAMILIES = {
    "bert": Family(
        "Bert",
        more={"nsp": "BertForNextSentencePrediction"},
        pair=("next-sentence", "seq_relationship_logits", ("is_next", "not_next")),
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "distilbert": Family(
        "DistilBert",
        segments=lambda config: False,
        classifies_pooled=False,
        tokenizer=write_wordpiece,
        names={
            "hidden_size": "dim",
            "num_attention_heads": "n_heads",
            "num_hidden_layers": "n_layers",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
            "type_vocab_size": None,
            "layer_norm_eps": None,
        },
    ),
    "roberta": roberta("Roberta"),
    "xlm-roberta": roberta("XLMRoberta"),
    "camembert": roberta("Camembert"),
    "electra": Family(
        "Electra",
        more={"replaced": "ElectraForPreTraining"},
        classifies_pooled=False,
        keys=electra_keys,
    ),
    "mpnet": Family(
        "MPNet",
        names={"type_vocab_size": None},
        segments=lambda config: False,
        classifies_pooled=False,
        keys=mpnet_keys,
        starts_behind_padding=True,
        padding=lambda config: 1,
        tokenizer=write_mpnet,
        refuses=lambda config: ["prune-tokens"],
        idle=lambda name, c: not c.tie_word_embeddings and name == "lm_head.bias",
    ),
    "albert": Family(
        "Albert",
        keys=albert_keys,
        idle=albert_idle,
        pair=("sentence-order", "sop_logits", ("in_order", "swapped")),
    ),
    "mobilebert": Family(
        "MobileBert",
        more={"nsp": "MobileBertForNextSentencePrediction"},
        pair=("next-sentence", "seq_relationship_logits", ("is_next", "not_next")),
        keys=mobilebert_keys,
        settle=mobilebert_settle,
        idle=mobilebert_idle,
        blocks=mobilebert_blocks,
        # else softmax sees scores so far apart that it chooses one key
        gain=lambda name, c: 0.4 if c.normalization_type == "no_norm" and "Norm.weight" in name else 1,
    ),
    "xlnet": Family(
        "XLNet",
        without=("fill-mask",),
        more={"qa": "XLNetForQuestionAnsweringSimple"},
        segments=lambda config: False,
        classifies_pooled=False,
        keys=xlnet_keys,
        settle=xlnet_settle,
        blocks=xlnet_blocks,
        has_positions=False,
        limit=40,
        tokenizer=write_xlnet,
        refuses=lambda config: ["prune-tokens"],
        unread=("seg_embed", "r_s_bias", "mask_emb"),  # of segments and words to predict
        names={
            "hidden_size": "d_model",
            "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer",
            "intermediate_size": "d_inner",
            "hidden_act": "ff_activation",
            "max_position_embeddings": None,
            "type_vocab_size": None,
        },
    ),
    "deberta-v2": Family(
        "DebertaV2",
        segments=lambda config: config.type_vocab_size > 1,
        keys=deberta_keys,
        settle=deberta_settle,
        has_positions=False,  # in some models
        idle=deberta_idle,
        refuses=lambda config: ["prune-tokens"] * config.relative_attention,
    ),
    "ernie": Family(
        "Ernie",
        more={"nsp": "ErnieForNextSentencePrediction"},
        keys=lambda r, keys: {"use_task_id": r.random() < 0.5, "task_type_vocab_size": r.choice([1, 3, 16])},
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "megatron-bert": Family(
        "MegatronBert",
        more={"nsp": "MegatronBertForNextSentencePrediction"},
        # the embedding is scaled to length 1
        idle=lambda name, c: name == "cls.predictions.bias" and not c.tie_word_embeddings,
    ),
    "nomic_bert": Family(
        "NomicBert",
        without=("qa",),
        keys=rotary_keys,
        settle=rotary_settle,
        has_positions=False,
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "jina_embeddings_v3": Family(
        "JinaEmbeddingsV3",
        segments=lambda config: config.type_vocab_size > 1,
        classifies_pooled=False,
        keys=lambda r, keys: rotary_keys(r, keys) | {"type_vocab_size": r.choice([1, 1, 2])},
        has_positions=False,
        idle=lambda name, c: not c.tie_word_embeddings and name == "lm_head.bias",
    ),
    "eurobert": Family(
        "EuroBert",
        without=("qa",),
        segments=lambda config: False,
        classifies_pooled=False,
        keys=eurobert_keys,
        settle=eurobert_settle,
        has_positions=False,
        names={"layer_norm_eps": "rms_norm_eps", "type_vocab_size": None},
        idle=lambda name, c: name == "norm.weight",
    ),
    "modernbert": Family(
        "ModernBert",
        segments=lambda config: False,
        classifies_pooled=False,
        keys=modernbert_keys,
        settle=modernbert_settle,
        has_positions=False,
        tokenizer=lambda directory, size, seed: write_byte_level(directory, size, seed, older=False),
        refuses=modernbert_refuses,
        names={"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps", "type_vocab_size": None},
        # a LayerNorm follows, or the scaling of embeddings to length 1
        idle=lambda name, c: name.endswith("tok_embeddings.weight") or name == "final_norm.weight",
    ),
    "bert-bpe": Family(  # with a tokenizer that is not its own
        "Bert",
        keys=lambda r, keys: {"vocab_size": keys["vocab_size"] + 257, "pad_token_id": 1},
        tokenizer=write_byte_level,
    ),
}

# Those that the tests go through unless others are named.
TESTED = ["bert", "distilbert", "roberta", "electra", "albert", "modernbert", "mpnet"]
TESTED += ["mobilebert", "xlnet", "deberta-v2"]
# Those that are made of parts of others: test_golden.py builds a model of each; all tests with FULL.
RENAMED = ["xlm-roberta", "camembert", "ernie", "megatron-bert", "nomic_bert"]
RENAMED += ["jina_embeddings_v3", "eurobert"]
if os.environ.get("FULL"):
    TESTED += RENAMED


def random_config(family, kind, seed):
    r = random.Random(seed)
    heads = r.choice([1, 2, 3, 4, 5, 7, 12])
    size = r.choice([5, 7, 8, 11, 16, 19, 32, 64])
    labels = 1 if kind == "regression" else r.choice([2, 3, 5, 17])
    more = {"num_labels": labels} if kind in ("classify", "multi", "regression", "tag") else {}
    if kind == "multi":
        more["problem_type"] = "multi_label_classification"
    keys = dict(
        vocab_size=r.choice([97, 128, 513]),
        hidden_size=heads * size,
        num_attention_heads=heads,
        num_hidden_layers=r.choice([1, 2, 3]),
        intermediate_size=r.choice([1, 7, 33, 48, 100, 257]),
        max_position_embeddings=r.choice([17, 40, 64]),
        type_vocab_size=r.choice([1, 2, 3]),
        hidden_act=ACTIVATIONS[seed % len(ACTIVATIONS)],
        layer_norm_eps=r.choice([1e-12, 1e-5]),
        **more,
    )
    return FAMILIES[family].config(**(keys | FAMILIES[family].keys(r, keys)))


def fan_in(name, p):
    """How many numbers a number of the result is a sum of. XLNet's parameters have an axis of heads."""
    if p.dim() == 3:
        return p.shape[0] if not name.endswith(".o") else p.shape[1] * p.shape[2]
    return p.shape[1]


def randomize(model, seed, gain=lambda name, config: 1):
    """Weights of variance 1/fan_in, so that signals neither die nor explode; biases and LayerNorm shifts of
    about 0.5, LayerNorm scales of about 1."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        n = torch.randn(p.shape, generator=g)
        if p.dim() == 1 and name.endswith(".weight"):
            n = 1 + 0.3 * n
        elif p.dim() == 1 or name.endswith("_bias"):
            n = 0.5 * n
        elif ("embeddings" not in name and "word_embedding" not in name) or "transformation" in name:
            n = 1.5 * n / fan_in(name, p) ** 0.5
        p.data.copy_(n * gain(name, model.config))
    return model


def random_model(family, kind, seed, directory, tokenizer=True, **overrides):
    torch.manual_seed(seed)
    row = FAMILIES[family]
    c = random_config(family, kind, seed)
    for k, v in row.own(overrides).items():
        setattr(c, k, v)
    row.settle(c)
    c._attn_implementation = "eager"
    model = randomize(row.classes()[kind](c), seed, row.gain).eval()
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    if row.limit:
        (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": row.limit}))
    if tokenizer:  # a program takes ids without one, and is built in two thirds of the time
        row.tokenizer(directory, c.vocab_size, seed)
    return model, c


def reference(row, model, kind, ids, types=None):
    """What the program gives for a text, as transformers computes it."""
    o = model(**row.inputs(ids, types if row.segments(model.config) else None))
    if kind == "encoder":
        mean = o.last_hidden_state[0].double().mean(0)
        return (mean / mean.norm().clamp(min=1e-12)).numpy()
    if kind == "qa":
        return torch.stack([o.start_logits[0], o.end_logits[0]], 1).numpy()
    return o.logits[0].numpy()
