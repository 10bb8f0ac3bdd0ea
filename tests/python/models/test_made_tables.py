"""Tables that the compiler makes itself, from sizes in config.json: angles, sinusoids, the zeros of grouped
linears. A small file must not make it take all memory: they are refused before they are made.

    test_made_tables.py"""

from _support import TMP, bertc
from checkpoints import *
from make_model import FAMILIES, random_model

MOST = 1 << 20  # positions
SIZES = dict(hidden_size=256, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8, vocab_size=97)


def refused(directory, what, *options):
    p = bertc("build", directory, "--emit=bir", "-o", TMP / "none.bir", *options, check=False)
    message = p.stderr.decode()
    assert p.returncode == 4 and f"a table of {what}, [" in message, (p.returncode, message)
    assert not (TMP / "none.bir").exists()


for family, what in (("nomic_bert", "angles"), ("roformer", "angles"), ("xlnet", "sinusoids")):
    directory = TMP / family
    random_model(family, "encoder", 1, directory, tokenizer=False, **FAMILIES[family].own(SIZES))
    (directory / "sentence_bert_config.json").unlink(missing_ok=True)
    rewrite(
        directory,
        lambda t: {k: v for k, v in t.items() if "embed_positions" not in k},
        max_position_embeddings=MOST,
    )
    refused(directory, what, f"--max-tokens={MOST}")

directory, wide = TMP / "squeezebert", 12288
random_model("squeezebert", "encoder", 1, directory, tokenizer=False, hidden_size=48, num_attention_heads=3)
words = ("embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.token_type_embeddings")
tensors = {f"{name}.weight": torch.ones(2, wide) for name in words}
tensors |= {f"embeddings.LayerNorm.{name}": torch.ones(wide) for name in ("weight", "bias")}
tensors["encoder.layers.0.attention.query.weight"] = torch.ones(wide, 1, 1)
keys = dict(vocab_size=2, max_position_embeddings=2, type_vocab_size=2, num_attention_heads=1, q_groups=wide)
rewrite(directory, lambda t: tensors, hidden_size=wide, embedding_size=wide, **keys)
refused(directory, "a grouped linear's weights")
print("4 tables")
