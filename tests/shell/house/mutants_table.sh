#!/usr/bin/env bash
# Every line of tests/mutants/mutants.txt still changes its file, and the tests that it names exist.
"$SOURCE/tests/mutants/run" --check
