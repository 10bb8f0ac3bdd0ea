"""Checks that folders do not depend on each other in cycles. Prints every cycle, with an example for each
edge.

A folder depends on another when a file of it
  - includes a file of the other (the #include lines of *.c, *.h, *.def, *.cc), or
  - contains code that refers to a function or object defined in a file of the other (relocations of text
    sections in the object files of a build).
Addresses in constant tables do not count: through a table made from a .def file, a folder can use code of a
folder above it (passes/pipeline.c has the table of all passes, but depends on none of them).

usage: include_cycles.py SOURCE BUILD; exit 0: no cycle, 1: some, 2: the build has no object files."""
import os
import re
import subprocess
import sys

ROOMS = ("ir", "passes", "codegen", "compiler")
LIBRARIES = ("bertc_ir", "bertc_passes", "bertc_codegen", "bertc_compiler", "bertc")


def source_files(root):
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in names:
                if name.endswith((".c", ".h", ".cc", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def included_files(root, file):
    folder = os.path.dirname(file)
    with open(os.path.join(root, file), encoding="utf-8") as text:
        for name in re.findall(r'^\s*#\s*include "([^"]+)"', text.read(), re.M):
            for path in (os.path.normpath(os.path.join(folder, name)), name):
                if os.path.isfile(os.path.join(root, path)):
                    yield path
                    break


def object_files(build):
    """Pairs (source file, object file)."""
    for library in LIBRARIES:
        top = os.path.join(build, "CMakeFiles", library + ".dir")
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                source = os.path.relpath(path, top)[:-2]
                if name.endswith(".o") and source.startswith(ROOMS):
                    yield source, path


def run_lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def defined_symbols(objects):
    """{symbol: source file}, of all global symbols of these object files."""
    source_of = {path: source for source, path in objects}
    owner, current = {}, None
    for line in run_lines("nm", "--defined-only", "--extern-only", *source_of):
        words = line.split()
        if len(words) == 1 and words[0][:-1] in source_of:
            current = source_of[words[0][:-1]]
        elif len(words) == 3:
            owner[words[2]] = current
    return owner


def called_symbols(objects):
    """(source file, symbol) for what the code, not the tables, of each object file refers to."""
    source_of = {path: source for source, path in objects}
    current, in_code = None, False
    for line in run_lines("objdump", "-r", *source_of):
        if ":     file format" in line:
            current = source_of[line.split(":     file format")[0]]
        elif line.startswith("RELOCATION RECORDS FOR ["):
            in_code = line.split("[")[1].startswith(".text")
        elif in_code and line[:1].isalnum():
            symbol = re.split(r"[-+]0x|@", line.split()[2])[0]
            yield current, symbol


def add_edge(edges, user, used, how):
    user_folder, used_folder = os.path.dirname(user), os.path.dirname(used)
    if user_folder != used_folder:
        edges.setdefault(user_folder, {}).setdefault(used_folder, set()).add(how)


def reachable(edges, start):
    seen, todo = set(), [start]
    while todo:
        for folder in edges.get(todo.pop(), {}):
            if folder not in seen:
                seen.add(folder)
                todo.append(folder)
    return seen


def main(root, build):
    objects = [(s, o) for s, o in object_files(build) if os.path.isfile(os.path.join(root, s))]
    if not objects:
        return 2
    edges = {}
    for file in source_files(root):
        for used in included_files(root, file):
            if used.startswith(ROOMS):
                add_edge(edges, file, used, f"{file} includes {used}")
    owner = defined_symbols(objects)
    for file, symbol in called_symbols(objects):
        if symbol in owner:
            add_edge(edges, file, owner[symbol], f"{file} uses {symbol} of {owner[symbol]}")
    reach = {folder: reachable(edges, folder) for folder in edges}
    cycles = 0
    for user in sorted(edges):
        for used in sorted(edges[user]):
            if user in reach.get(used, ()):
                cycles += 1
                print(f"{user} -> {used} is part of a cycle:", *sorted(edges[user][used]), sep="\n    ")
    return 1 if cycles else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
