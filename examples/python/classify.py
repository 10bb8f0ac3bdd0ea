#!/usr/bin/env python3
"""Classifies texts with an emitted shared library, through ctypes: classify.py libsentiment.so TEXT..."""

import ctypes, sys

library = ctypes.CDLL(sys.argv[1])
library.sentiment_new.restype = ctypes.c_void_p
for name in ("sentiment_why", "sentiment_label", "sentiment_strerror"):
    getattr(library, name).restype = ctypes.c_char_p
texts = [t.encode() for t in sys.argv[2:]]
context = library.sentiment_new(1)
if not context:
    sys.exit(library.sentiment_why().decode())
context, n, labels = ctypes.c_void_p(context), len(texts), 2
logits = (ctypes.c_float * (n * labels))()
status = library.sentiment_run_text(
    context,
    (ctypes.c_char_p * n)(*texts),
    (ctypes.c_size_t * n)(*map(len, texts)),
    None,
    None,
    ctypes.c_int32(n),
    logits,
    ctypes.c_size_t(n * labels),
    None,
    None,
)
if status:
    sys.exit(library.sentiment_strerror(status).decode())
for i, text in enumerate(texts):
    row = logits[i * labels : (i + 1) * labels]
    print(library.sentiment_label(row.index(max(row))).decode(), text.decode(), sep="\t")
library.sentiment_free(context)
