"""Functions of the rows of make_model.py, by family: NAME_keys(r, keys) draws the keys of config.json that
differ from BERT's, NAME_settle makes them fit again after some were set, NAME_idle knows parameters by which
no output changes, NAME_blocks finds the last linears of blocks."""

import math, re

ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"]


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
        "pooler_hidden_act": r.choice([a for a in ("relu", "silu", "tanh") if a != keys["hidden_act"]]),
        "embedding_size": r.choice([33, keys["hidden_size"], keys["hidden_size"]]),
        "legacy": r.random() < 0.5,
    }


def deberta_v2_keys(r, keys):
    """Every other model with a convolution behind its first layer."""
    own = deberta_keys(r, keys)
    if r.random() < 0.5:
        own |= {"conv_kernel_size": r.choice([1, 3, 5]), "conv_act": r.choice(ACTIVATIONS)}
        own |= {"conv_groups": r.choice([1, 1, keys["num_attention_heads"]])}
    return own


def deberta_settle(config):
    """Sizes that follow others."""
    config.pooler_hidden_size = config.hidden_size
    if not config.legacy:
        config.embedding_size = config.hidden_size
    if config.hidden_size % getattr(config, "conv_groups", 1):
        config.conv_groups = 1


def deberta_blocks(layer):
    """The last linears of the attention and of the feed-forward network."""
    return [layer.attention.output.dense.weight.data, layer.output.dense.weight.data]


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


def roformer_keys(r, keys):
    """Heads of an even size; tables narrower or wider than the layers; values that turn, too."""
    hidden = keys["num_attention_heads"] * r.choice([2, 6, 10, 16, 34, 64])
    return {
        "hidden_size": hidden,
        "embedding_size": r.choice([33, 45, hidden]),
        "rotary_value": r.random() < 0.5,
    }


def squeezebert_keys(r, keys):
    """Groups that divide what each linear reads and makes."""
    hidden = keys["hidden_size"]
    divisors = [g for g in (1, 2, 3, 4, 5, 7, 8, 12, 19) if hidden % g == 0]
    linears = ("q", "k", "v", "post_attention", "intermediate", "output")
    return {
        "num_hidden_layers": min(keys["num_hidden_layers"], 2),
        "embedding_size": hidden,
        "intermediate_size": hidden * r.choice([1, 2, 3]),
        **{f"{name}_groups": r.choice(divisors) for name in linears},
    }


def squeezebert_settle(config):
    """Groups that fit the sizes: fewer, where they do not."""
    c = config
    c.embedding_size = c.hidden_size
    for name in ("q", "k", "v", "post_attention", "intermediate", "output"):
        groups = getattr(c, f"{name}_groups")
        both = math.gcd(c.hidden_size, c.intermediate_size if name in ("intermediate", "output") else 0)
        setattr(c, f"{name}_groups", math.gcd(groups, both))


class Grouped:
    """The weight of a grouped convolution, with the columns of all groups side by side."""

    def __init__(self, conv):
        self.weight, self.groups = conv.weight.data, conv.groups
        self.shape = (len(self.weight), self.weight.shape[1] * self.groups)

    def __setitem__(self, at, value):
        columns, rows = range(self.shape[1])[at[1]], self.shape[0] // self.groups
        for column in columns if isinstance(at[1], slice) else [columns]:
            group, own = divmod(column, self.weight.shape[1])
            self.weight[group * rows : (group + 1) * rows, own] = value


def squeezebert_blocks(layer):
    """The weights of the last linears of the attention and of the feed-forward network."""
    return [Grouped(layer.post_attention.conv1d), Grouped(layer.output.conv1d)]


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


def convbert_keys(r, keys):
    """Tables narrower or wider than the layers, few or all heads, grouped feed-forward networks."""
    ratio, groups = r.choice([1, 2, 2, 3, 20]), r.choice([1, 2, 3])
    hidden = 2 * max(keys["num_attention_heads"] // ratio, 1) * r.choice([3, 5, 8, 11, 16, 32])
    return {
        "hidden_size": hidden * (groups if hidden % groups else 1),
        "embedding_size": r.choice([33, 45, hidden]),
        "head_ratio": ratio,
        "conv_kernel_size": r.choice([1, 3, 5, 9, 15]),
        "num_groups": groups,
        "intermediate_size": groups * r.choice([1, 7, 16, 33]),
    }


def convbert_settle(config):
    """Fewer heads and groups, where they do not fit."""
    c = config
    if c.hidden_size % (2 * max(c.num_attention_heads // c.head_ratio, 1)):
        c.head_ratio = c.num_attention_heads
    c.num_groups = math.gcd(c.num_groups, math.gcd(c.hidden_size, c.intermediate_size))


class Blocks:
    """The weight of a product from the right by groups, with the inputs of all groups as columns."""

    def __init__(self, weight):
        self.weight = weight

    def __setitem__(self, at, value):
        group, own = divmod(at[1], self.weight.shape[1])
        self.weight[group, own] = value


def convbert_blocks(layer):
    """The weight of the last linear of the feed-forward network. Passes find no heads."""
    weight = layer.output.dense.weight.data
    return [None, Blocks(weight) if weight.dim() == 3 else weight]
