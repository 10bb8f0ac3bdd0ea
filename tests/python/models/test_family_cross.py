"""Compares a tiny classifier of every family, built for ARM and run under qemu, with transformers.

test_family_cross.py [FAMILY...]"""

import json, random, shutil, sys
from _support import BERTC, FULL, TMP, compare, run, skip
from make_model import FAMILIES, TESTED, random_model, reference
import torch

torch.set_grad_enabled(False)
torch.set_num_threads(1)
TARGETS = {"aarch64-linux-gnu": "qemu-aarch64-static", "arm-linux-gnueabihf": "qemu-arm-static"}
ran = 0
for n, family in enumerate(sys.argv[1:] or TESTED):
    row, directory = FAMILIES[family], TMP / family
    model, config = random_model(
        family,
        "classify",
        70 + n,
        directory,
        hidden_size=20,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=23,
    )
    r = random.Random(n)
    batch = [[r.randrange(config.vocab_size) for _ in range(k)] for k in (1, 5, row.longest(config))]
    batch[1][2] = row.padding(config)
    for target, qemu in list(TARGETS.items()) if FULL else [list(TARGETS.items())[n % 2]]:
        if not shutil.which(qemu):
            continue
        done = run(
            BERTC, "build", directory, "-o", TMP / "there", f"--target={target}", "--quiet", check=False
        )
        if done.returncode == 4 and b"on Debian install" in done.stderr:
            continue
        assert done.returncode == 0, done.stderr.decode()
        lines = "".join(" ".join(map(str, ids)) + "\n" for ids in batch).encode()
        got = run(qemu, TMP / "there", "--ids", "--logits", input=lines).stdout.splitlines()
        for ids, line in zip(batch, got, strict=True):
            compare(
                json.loads(line),
                reference(row, model, "classify", ids),
                f"{family} {target} {len(ids)} tokens",
            )
        ran += 1
        print(f"ok {family} {target}", flush=True)
if not ran:
    skip("no qemu or no cross sysroot")
