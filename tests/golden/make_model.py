"""Seeded random models of odd sizes for the tests; FAMILIES has one row per family. Weights, biases and
LayerNorms are so large that every tensor matters: 10 % more of any one moves the output past the
tolerance. The exception is key biases, which softmax cancels. test_golden.py checks this.

    make_model.random_model(family, kind, seed, directory, tokenizer=True, **overrides) -> (model, config)

Overrides have the names of BertConfig for every family.
"""

import dataclasses, functools, json, os, pathlib, random
import torch, transformers
from family_keys import *
from make_tokenizer import write_byte_level, write_mpnet, write_wordpiece, write_xlnet

CLASSES = {
    "encoder": "Model",
    "classify": "ForSequenceClassification",
    "multi": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "tag": "ForTokenClassification",
    "qa": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
}


@functools.cache  # transformers looks through its modules for a name each time
def class_named(name):
    return getattr(transformers, name)


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
    headless: bool = False  # passes find no attention of the usual form
    masks: bool = True  # the model takes an attention_mask
    has_positions: bool = True  # a table with a row for each position
    limit: int = 0  # tokens of a text, where the config has no limit
    starts_behind_padding: bool = False  # the first position is the padding id + 1
    padding: object = lambda config: config.pad_token_id  # the id that has no position then
    tokenizer: object = write_wordpiece  # writes the tokenizer's files: (directory, vocabulary size, seed)
    classifies_pooled: bool = True  # the classifier reads the encoder's pooler
    pair: tuple = ()  # of ForPreTraining's second head: name of the output, key of transformers, labels
    unread: tuple = ()  # ends of the names of parameters that bertc does not read
    idle: object = lambda name, config: False  # parameters by which no output changes
    computed: tuple = ()  # tensors that transformers computes where a checkpoint does not hold them
    refuses: object = lambda config: ()  # passes that are refused on every kind of model
    settle: object = lambda config: None  # makes keys fit again after some were set
    gain: object = lambda name, config: 1  # factor on a parameter of random models
    blocks: object = None  # the last weights of a layer's attention and feed-forward network; None: the last

    def classes(self):
        """kind -> class of transformers."""
        names = {kind: self.stem + name for kind, name in CLASSES.items() if kind not in self.without}
        names |= self.more
        return {kind: class_named(name) for kind, name in names.items()}

    def chooser(self):
        """The class for multiple choice; None: there is none."""
        return getattr(transformers, self.stem + "ForMultipleChoice", None)

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
        if not self.masks:
            del given["attention_mask"]
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
    "deberta": Family(
        "Deberta",
        segments=lambda config: config.type_vocab_size > 1,
        keys=deberta_keys,
        settle=deberta_settle,
        blocks=deberta_blocks,
        has_positions=False,  # in some models
        idle=deberta_idle,
        refuses=lambda config: ["prune-tokens"] * config.relative_attention,
    ),
    "deberta-v2": Family(
        "DebertaV2",
        segments=lambda config: config.type_vocab_size > 1,
        keys=deberta_v2_keys,
        settle=deberta_settle,
        blocks=deberta_blocks,
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
    "roformer": Family(
        "RoFormer",
        classifies_pooled=False,
        computed=("encoder.embed_positions.weight",),
        keys=roformer_keys,
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "rembert": Family(
        "RemBert",
        keys=lambda r, keys: {
            "input_embedding_size": r.choice([33, 45, keys["hidden_size"]]),
            "output_embedding_size": r.choice([29, 51, keys["hidden_size"]]),
        },
    ),
    "squeezebert": Family(
        "SqueezeBert",
        keys=squeezebert_keys,
        settle=squeezebert_settle,
        blocks=squeezebert_blocks,
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "convbert": Family(
        "ConvBert",
        classifies_pooled=False,
        keys=convbert_keys,
        settle=convbert_settle,
        headless=True,
        blocks=convbert_blocks,
        # softmax over one tap is 1
        idle=lambda name, c: c.conv_kernel_size == 1 and ("key_conv" in name or "conv_kernel" in name),
    ),
    "fnet": Family(
        "FNet",
        more={"nsp": "FNetForNextSentencePrediction"},
        masks=False,
        headless=True,
        blocks=lambda layer: [None, layer.output.dense.weight.data],
        pair=("next-sentence", "seq_relationship_logits", ("is_next", "not_next")),
        names={"num_attention_heads": None},
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
    ),
    "nystromformer": Family(
        "Nystromformer",
        classifies_pooled=False,
        headless=True,
        keys=lambda r, keys: {
            "conv_kernel_size": r.choice([1, 3, 9, 65]),
            "vocab_size": keys["vocab_size"] + 257,
        },
        tokenizer=lambda directory, size, seed: write_byte_level(directory, size, seed, older=False),
        idle=lambda name, c: not c.tie_word_embeddings and name == "cls.predictions.bias",
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
TESTED += ["mobilebert", "xlnet", "deberta", "deberta-v2", "convbert", "fnet"]
# Those that are made of parts of others: test_golden.py builds a model of each; all tests with FULL.
RENAMED = ["xlm-roberta", "camembert", "ernie", "megatron-bert", "nomic_bert"]
RENAMED += ["jina_embeddings_v3", "eurobert", "roformer", "rembert", "squeezebert", "nystromformer"]
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
    if "key_conv_attn_layer" in name:
        return p[0].numel()
    if p.dim() == 3 and name.endswith("dense.weight"):
        return p.shape[1]
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
    made = row.chooser() if kind == "choice" else row.classes()[kind]
    model = randomize(made(c), seed, row.gain).eval()
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
    given = row.inputs(ids, types if row.segments(model.config) else None)
    if kind == "choice":  # the only choice of the only text
        given = {key: value[None] for key, value in given.items()}
    o = model(**given)
    if kind == "encoder":
        mean = o.last_hidden_state[0].double().mean(0)
        return (mean / mean.norm().clamp(min=1e-12)).numpy()
    if kind == "qa":
        return torch.stack([o.start_logits[0], o.end_logits[0]], 1).numpy()
    return o.logits[0].numpy()
