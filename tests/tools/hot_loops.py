#!/usr/bin/env python3
"""Finds the loops with multiplications in compiled kernels, from a disassembly.

    hot_loops.py OBJECT PATTERN             one line per loop: function, address, instructions,
                                            multiplications, stack accesses
    hot_loops.py OBJECT PATTERN --mca CPU   also figures of llvm-mca for an AArch64 CPU: cycles per
                                            iteration, and the share that the multiplications alone
                                            would take

PATTERN is a regular expression for the whole name of a function. A loop is the code between a backward
branch and its target. Only innermost loops with at least one instruction of MULTIPLY count. A stack access
in such a loop means that the compiler ran out of registers: the tile is too large."""

import re
import subprocess
import sys

MULTIPLY = {
    "x86_64": r"vfn?madd\d+ps|(?:\{vex\}\s+)?vpdpbusd|vdpbf16ps|vpmaddwd|vpmaddubsw",
    "aarch64": r"fmla|sdot|smmla|smull2?|smlal2?",
    "arm": r"vmla\.f32|vfma\.f32|vmull\.s8|vmlal\.s8",
}
LINE = re.compile(r"^\s*([0-9a-f]+):\s+((?:\{\w+\}\s+)?\S+)\s*(.*)$")


def disassemble(path):
    """(architecture, [(function, [(address, mnemonic, operands)])])"""
    text = subprocess.run(
        ["llvm-objdump-19", "-d", "--no-show-raw-insn", "--mattr=+all", path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    kind = re.search(r"file format elf\d+-(?:little)?(\S+)", text).group(1)
    arch = {"x86-64": "x86_64", "aarch64": "aarch64", "arm": "arm"}[kind]
    functions = []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(\w+)>:$", line)
        found = LINE.match(line)
        if head:
            functions.append((head.group(1), []))
        elif found and functions:
            functions[-1][1].append((int(found.group(1), 16), found.group(2), found.group(3)))
    return arch, functions


def loops(code):
    """Innermost ones, as lists of instructions."""
    addresses = {address for address, _, _ in code}
    spans = []
    for address, mnemonic, operands in code:
        target = re.search(r"(?:^|[ ,#])(?:0x)?([0-9a-f]+) <", operands)
        if target and not re.match(r"call|blx?$|adr|lea", mnemonic) and int(target.group(1), 16) in addresses:
            if int(target.group(1), 16) <= address:
                spans.append((int(target.group(1), 16), address))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [[i for i in code if first <= i[0] <= last] for first, last in sorted(set(inner))]


def touches_stack(arch, code, loop):
    """How many instructions of the loop read or write a fixed place relative to the stack pointer, or to the
    frame pointer if there is one. With an index it is an array, as the widened weights of linear__avx512.c
    are. ARMv7 first adds the place to SP."""
    text = [f"{mnemonic} {operands}" for _, mnemonic, operands in code]
    framed = any(re.match(r"(mov\w*\s+%rsp, *%rbp|(mov|add)\s+x29, *sp)", line) for line in text)
    pattern = {
        "x86_64": r"\(%rsp\)" + (r"|\(%rbp\)" if framed else ""),
        "aarch64": r"\[sp\b" + (r"|\[x29" if framed else ""),
        "arm": r"\bsp\b",
    }[arch]
    return sum(1 for _, _, operands in loop if re.search(pattern, operands))


def mca(cpu, instructions):
    """Cycles a turn of a loop that holds these instructions, on an AArch64 CPU."""
    turns = 1000
    text = "\n".join([".text", "hot:"] + instructions)
    out = subprocess.run(
        [
            "llvm-mca-19",
            "-mtriple=aarch64-linux-gnu",
            f"-mcpu={cpu}",
            "-mattr=+dotprod,+i8mm",
            f"-iterations={turns}",
            "-",
        ],
        input=text,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Total Cycles:\s+(\d+)", out.stdout)
    if not found:
        sys.exit(f"llvm-mca for {cpu}:\n{out.stderr}\n{text}")
    return int(found.group(1)) / turns


def for_mca(loop):
    """The text of a loop as an assembler reads it: the branch goes to the label, no comments."""
    return [
        f"{mnemonic} " + re.sub(r"(?:0x)?[0-9a-f]+ <[^>]*>.*$", "hot", re.sub(r"\s*//.*$", "", operands))
        for _, mnemonic, operands in loop
    ]


def multiplications_alone(loop):
    """The same multiplications of the same registers, each on sums of its own: what the CPU takes at the very
    least."""
    lines = []
    for _, mnemonic, operands in loop:
        if re.fullmatch(MULTIPLY["aarch64"], mnemonic):
            first, rest = operands.split(",", 1)
            lines.append(
                f"{mnemonic} "
                + re.sub(r"v\d+", f"v{len(lines) % 24}", first)
                + ","
                + re.sub(r"v\d+", "v31", rest)
            )
    return lines


def hot_loops(path, pattern):
    """(architecture, function, all its code, loop, multiplications) of every hot loop."""
    arch, functions = disassemble(path)
    for name, code in functions:
        if not re.fullmatch(pattern, name):
            continue
        for loop in loops(code):
            multiply = sum(1 for _, mnemonic, _ in loop if re.fullmatch(MULTIPLY[arch], mnemonic))
            if multiply:
                yield arch, name, code, loop, multiply


def main():
    path, pattern = sys.argv[1], sys.argv[2]
    cpu = sys.argv[4] if sys.argv[3:4] == ["--mca"] else None
    for arch, name, code, loop, multiply in hot_loops(path, pattern):
        line = f"{name} {loop[0][0]:x} {len(loop)} {multiply} {touches_stack(arch, code, loop)}"
        if cpu:
            turn, least = mca(cpu, for_mca(loop)), mca(cpu, multiplications_alone(loop))
            line += f" {turn:.2f} {least / turn:.3f}"
        print(line)


if __name__ == "__main__":
    main()
