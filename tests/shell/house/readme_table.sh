#!/usr/bin/env bash
# The table of what is supported in README is the one that the source makes.
exec "$SOURCE/tests/readme"
