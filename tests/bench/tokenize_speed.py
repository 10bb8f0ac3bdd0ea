#!/usr/bin/env python3
"""Times the tokenizers of bertc programs beside the `tokenizers` library, one thread each. Not a test.

    python3 tests/bench/tokenize_speed.py BERTC SHARED

Builds tiny models with the tokenizers of RoBERTa (byte-level BPE), ALBERT (Unigram) and BERT (WordPiece) from
the vocabularies in SHARED/data/vocab, and tokenizes SHARED/data/text/en.txt many times: lines of text to ids.
The program's time includes its start and the printing of the ids. The library gets the same lines in
encode_batch and in encode_batch_fast, which leaves out offsets. Turns alternate. Prints the minimum in MB/s,
and the ratio to the faster of the two."""

import os, pathlib, subprocess, sys, tempfile, time

BERTC, SHARED = sys.argv[1], pathlib.Path(sys.argv[2])
os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
os.environ.update(SHARED=str(SHARED), BUILD="")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python" / "tokenizer"))
from tokenizers import Tokenizer
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, RobertaConfig, RobertaModel
from transformers import BertTokenizer, RobertaTokenizer
import unigrams

SIZES = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
ROUNDS, TURNS = 40, 5
VOCAB = SHARED / "data" / "vocab"
KINDS = {
    "byte-level BPE": (RobertaConfig, RobertaModel, RobertaTokenizer, "roberta-base"),
    "Unigram": (AlbertConfig, AlbertModel, None, None),
    "WordPiece": (BertConfig, BertModel, BertTokenizer, "bert-base-uncased"),
}
text = (SHARED / "data" / "text" / "en.txt").read_text(encoding="utf-8")
lines = [line for line in text.split("\n") if line.strip()] * ROUNDS
joined = "".join(line + "\n" for line in lines).encode()


def seconds(run):
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def build(kind, directory):
    config, model, tokenizer, vocab = KINDS[kind]
    file = f"{directory}/tokenizer.json"
    if tokenizer:
        tokenizer.from_pretrained(str(VOCAB / vocab)).save_pretrained(directory)
    else:
        unigrams.unigram(unigrams.albert_model(), "albert").save(file)
    library = Tokenizer.from_file(file)
    more = {"embedding_size": 8} if config is AlbertConfig else {}
    sizes = SIZES | more | {"vocab_size": library.get_vocab_size(), "max_position_embeddings": 4100}
    model(config(**sizes)).save_pretrained(directory)
    program = f"{directory}/program"
    options = ["--max-tokens=4096", "--task=embed", "--quiet"]
    subprocess.run([BERTC, "build", directory, "-o", program, *options], check=True)
    return program, library


for kind in KINDS:
    with tempfile.TemporaryDirectory() as directory:
        program, library = build(kind, directory)
        library.no_truncation()
        library.no_padding()
        runs = {
            "ours": lambda: subprocess.run(
                [program, "--tokenize"], input=joined, stdout=subprocess.DEVNULL, check=True
            ),
            "encode_batch": lambda: library.encode_batch(lines),
            "encode_batch_fast": lambda: library.encode_batch_fast(lines),
        }
        least = {name: min(seconds(run) for _ in range(2)) for name, run in runs.items()}
        for _ in range(TURNS):
            least = {name: min(least[name], seconds(run)) for name, run in runs.items()}
        speed = {name: len(joined) / least[name] / 1e6 for name in runs}
        ratio = speed["ours"] / max(speed["encode_batch"], speed["encode_batch_fast"])
        each = (f"{name} {speed[name]:6.1f} MB/s  " for name in runs)
        print(f"{kind:16}", *each, f"{ratio:.1f}x", flush=True)
