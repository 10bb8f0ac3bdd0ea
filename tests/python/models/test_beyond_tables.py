"""Texts with ids or types beyond the model's tables. An encoder with one type uses it for both segments. A
token that only the tokenizer has is an error in that text. Also fill-mask without a mask or a tokenizer."""

import ctypes, shutil
from _support import *
import make_bert


def answer(path, *arguments, code=0, **more):
    p = run(path, *arguments, check=False, **more)
    assert p.returncode == code, (
        f"{path} {arguments}: exit {p.returncode}, expected {code}: {p.stderr.decode()}"
    )
    return p.stdout.decode(), p.stderr.decode()


def one_type():
    make_bert.random_bert("qa", 3, TMP / "qa", type_vocab_size=1, max_position_embeddings=40)
    path = build(TMP / "qa", TMP / "qa.out", "--cpu=baseline")
    pair = "who is it\tab cd ef gh, ij"
    plain, errors = answer(path, pair)
    start, end, _, text = plain.rstrip("\n").split("\t")
    assert errors == "" and (text == "" or text == "ab cd ef gh, ij"[int(start) : int(end)]), plain
    ids, _ = answer(path, "--tokenize", pair)
    assert ids.count("\t") == 1, f"the second segment is lost: {ids}"
    got, want = answer(path, "--logits", pair), answer(path, "--ids", "--logits", input=ids.encode())
    assert got == want, "text and its ids give other numbers"


def text_call(library, text, pair, floats):
    def strings(x):
        return None if x is None else (ctypes.c_char_p * 1)(x)

    def sizes(x):
        return None if x is None else (ctypes.c_size_t * 1)(len(x))

    out = np.full(floats, np.nan, np.float32)
    return library.f("run_text")(
        library.context,
        strings(text),
        sizes(text),
        strings(pair),
        sizes(pair),
        ctypes.c_int32(1),
        out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_size_t(floats),
        None,
        None,
    ), out


def more_tokens():
    _, config = make_bert.random_bert("classify", 1, TMP / "more", type_vocab_size=1)
    with open(TMP / "more" / "vocab.txt", "a") as f:
        f.write("beyond\n")
    path, library = (
        build(TMP / "more", TMP / "more.out", "--cpu=baseline"),
        Library(
            build(TMP / "more", TMP / "more.so", "--cpu=baseline", "--emit=shared", "--name=more"), "more"
        ),
    )
    for options in ([], ["--batch", "3"], ["--on-overflow", "window"]):
        plain, errors = answer(path, *options, "a", "beyond", "b", code=1)
        assert plain == answer(path, "a", "b")[0] and "argument:2: error: token id" in errors, (plain, errors)
    assert text_call(library, b"a", None, config.num_labels)[0] == 0
    for overflow in (0.0, 1.0, 2.0):
        library.f("set")(library.context, b"overflow", ctypes.c_double(overflow))
        status, out = text_call(library, b"a beyond", None, config.num_labels)
        assert b"token id" in library.f("strerror")(status) and np.isnan(out).all(), (
            f"overflow {overflow}: status {status}"
        )
    status, out = text_call(library, b"a", b"b c", config.num_labels)  # one type, a pair
    ids = [int(i) for i in answer(path, "--tokenize", "a\tb c")[0].split()]
    assert status == 0 and (out == library.run([ids], config.num_labels)).all(), (
        f"a pair for an encoder with one type: status {status}"
    )


def no_mask():
    make_bert.random_bert("fill-mask", 4, TMP / "mask")
    path = build(TMP / "mask", TMP / "mask.out", "--cpu=baseline")
    plain, errors = answer(path, "--ids", "2 4 7 3", "2 7 3", code=1)
    assert plain.count("\n") == 1 and "argument:2: error: no mask" in errors, (plain, errors)
    shutil.copytree(TMP / "mask", TMP / "bare")
    for file in ("vocab.txt", "tokenizer_config.json"):
        (TMP / "bare" / file).unlink()
    bare = build(TMP / "bare", TMP / "bare.out", "--cpu=baseline")
    assert "--logits" in answer(bare, "--ids", "2 4 7 3", code=1)[1]
    assert answer(bare, "--ids", "--logits", "2 4 7 3") == answer(path, "--ids", "--logits", "2 4 7 3")


one_type()
more_tokens()
no_mask()
print("one type, tokens beyond the table, no mask: as they should be")
