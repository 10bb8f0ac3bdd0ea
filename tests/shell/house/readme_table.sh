#!/usr/bin/env bash
# README's table "What is supported" matches the tables in the source.
exec "$SOURCE/tests/readme"
