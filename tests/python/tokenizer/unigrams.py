"""Unigram tokenizers for tests, from ALBERT's SentencePiece model in $SHARED: set up as transformers' classes
do."""

import pathlib
import sys

import tokenizing as T

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import sentencepiece

SPIECE = pathlib.Path(T.SHARED, "data", "vocab", "albert-base", "spiece.model")
USER = ["(", ")", '"', "-", ".", "–", "£", "€"]


def albert_model():
    return sentencepiece.read(SPIECE)


def normalizer(model, kind):
    """The normalisers of the classes, of releases 4 and 5 of transformers."""
    from tokenizers import Regex, normalizers as N

    quotes = [N.Replace("``", '"'), N.Replace("''", '"')]
    bare = [N.NFKD(), N.StripAccents()]
    spaces = [N.Replace(Regex(" {2,}"), " ")]
    precompiled = [N.Precompiled(model.charsmap)]
    lists = {
        "albert": [*quotes, *bare, N.Lowercase(), *precompiled, *spaces],
        "albert5": [*quotes, *bare, N.Lowercase(), *precompiled],
        "accents": [*quotes, N.Lowercase(), *precompiled, *spaces],
        "xlnet": [*quotes, *bare, *precompiled, *spaces],
        "xlm-r": [*precompiled, N.Strip(left=False, right=True), N.Replace(Regex(" {2,}"), "▁")],
        "xlm-r5": precompiled,
        "deberta": [N.Strip(), *precompiled, *spaces],
        "deberta5": [N.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), N.NFC(), N.Strip(left=False, right=True)],
        "rembert": [*quotes, *spaces, *precompiled],
        "rembert-bare": [*quotes, *spaces, *bare, N.Lowercase(), *precompiled],
        "nmt": [N.Nmt(), N.NFKC(), N.Replace(Regex(" {2,}"), " ")],
        "bert": [N.NFC(), N.BertNormalizer()],
        "one-space": [N.Strip(), N.Replace("``", '"'), N.Replace(Regex(" +"), " "), N.NFKC(), N.Nmt()],
        "prepend": [N.NFC(), N.Prepend("▁"), N.Replace(" ", "▁")],
        "none": [],
    }
    return N.Sequence(lists[kind])


def unigram(model, kind, scheme="always", split=True, drop=False, added=(), pieces=None, **options):
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers as P, processors

    pieces = pieces or [(text, score) for text, score, _ in model.pieces]
    tok = Tokenizer(models.Unigram(pieces, unk_id=options.pop("unk_id", 1), **options))
    if kind != "none":
        tok.normalizer = normalizer(model, kind)
    metaspace = P.Metaspace(replacement="▁", prepend_scheme=scheme, split=split)
    tok.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), metaspace]) if drop else metaspace
    ends = [(t, tok.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    if ends[0][1] is not None:
        tok.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
        )
        tok.add_special_tokens(
            [AddedToken(t, normalized=False) for t in ("<pad>", "<unk>", "[CLS]", "[SEP]")]
            + [AddedToken("[MASK]", lstrip=True, normalized=False)]
        )
    for token in added:
        tok.add_tokens([token])
    return tok
