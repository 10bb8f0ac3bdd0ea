"""Compares the output of programs with byte-level BPE for every task with transformers: offsets, texts of
tokens, answers, windows. Runs tests/python/models/test_tasks.py on a BERT with such a tokenizer."""

import pathlib
import runpy
import sys

sys.argv[1:] = ["bert-bpe"]
runpy.run_path(str(pathlib.Path(__file__).parents[1] / "models" / "test_tasks.py"), run_name="__main__")
