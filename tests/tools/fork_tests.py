#!/usr/bin/env python3
"""Runs the Python tests, each in a fork of this process. What most of them import is imported here, once: in
each test torch and transformers would take 4 s, sentence-transformers and the classes of all families 1.5 s.

    fork_tests.py REQUESTS

REQUESTS is a FIFO. A line of it is TEST, FOLDER, LOG and REPLY, with tabs between. The test runs in FOLDER
and writes to the file LOG. Its exit status goes to the file REPLY.status, then an empty line to the FIFO
REPLY."""

import atexit
import gc
import os
import pathlib
import runpy
import signal
import sys
import time
import traceback

import numpy
import safetensors.torch
import tokenizers
import torch
import transformers

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "golden")
from make_model import FAMILIES

try:
    import sentence_transformers
except ImportError:  # $PYTHON may lack it; the tests that need it say so
    pass


def run(test, folder, log):
    """In the process of the test; does not return."""
    os.chdir(folder)
    os.environ.update(TMP=folder, TMPDIR=folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.path[0] = str(pathlib.Path(test).parent)
    sys.argv = [test]
    status = status_of(test)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)  # sys.exit takes 1.5 s to free all modules


def status_of(test):
    """Runs the test as Python runs a script. Returns the exit status; a message is on standard error."""
    try:
        runpy.run_path(test, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def answer(test, folder, log, reply):
    """In a process that waits for the test's."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    child = -1
    try:
        child = os.fork()
        if child:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            pathlib.Path(f"{reply}.status").write_text(str(status if status >= 0 else 128 - status))
    finally:
        if child:  # one byte: bash may lose the rest of a line when its time is up
            pathlib.Path(reply).write_text("\n")
            os._exit(0)
    run(test, folder, log)


def reap():
    """Waits for processes that have ended, so that their CPU time counts for this one. Returns whether others
    still run."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def leave(*_):
    for _ in range(100):  # the last test has answered, so that its processes are about to end
        if not reap():
            break
        time.sleep(0.01)
    os._exit(0)


def main():
    signal.signal(signal.SIGTERM, leave)
    for family in FAMILIES.values():
        family.classes()
    gc.freeze()  # a test's collections need not go through what is imported here
    with open(sys.argv[1]) as requests:
        for line in requests:
            if os.fork() == 0:
                answer(*line.rstrip("\n").split("\t"))
            reap()
    leave()


main()
