"""Runs the commands shown in documentation and compares their output with the output shown.

usage: docs.py [--write] [--only=KIND] PAGE.md...

A fenced block ```console has commands ("$ COMMAND", continued by "> " lines), each followed by its output
(standard output and standard error). The blocks of a page run in order, in one shell, in an empty directory
with links to examples and build/release of a clone. Blocks ```console KIND run only with --only=KIND:
`models` need the models and data of $SHARED (links `models` and `data`), `arm` need qemu and the cross
libraries.
In an output
  ...      alone on a line matches any lines; at the end of a line it matches any text
  ~1.5     matches any number
  spaces   match any number of spaces
  0.998    other decimal fractions may differ by 0.002 * max(1, value), because CPUs sum in different orders
A command must succeed, unless its output shows an error or `echo $?` follows. No other block, fenced or
indented, may contain a bertc command.

--write replaces outputs that differ, and outputs of only `...`, by the real output."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
TOLERANCE = 0.002


class Command:
    def __init__(self, line, text):
        self.line, self.text, self.output, self.end = line, text, [], line


def page_blocks(lines):
    """(information words of the fence, first line, line behind the last) of each fenced block."""
    words, start = None, 0
    for i, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if words is None:
            words, start = line[3:].split(), i + 1
        else:
            yield words, start, i
            words = None


def block_commands(lines, start, end):
    commands = []
    for i in range(start, end):
        if lines[i].startswith("$ "):
            commands.append(Command(i, lines[i][2:]))
        elif lines[i].startswith("> ") and commands and not commands[-1].output:
            commands[-1].text += "\n" + lines[i][2:]
            commands[-1].line = i
        elif commands:
            commands[-1].output.append(lines[i])
        commands and setattr(commands[-1], "end", i + 1)
    return commands


def page_commands(path, lines, kind):
    """The commands to run, and the complaints about blocks that hold commands and are no sessions."""
    commands, sessions = [], set()
    for words, start, end in page_blocks(lines):
        if words[:1] != ["console"]:
            continue
        sessions.update(range(start, end))
        if words[1:] == ([kind] if kind else []):
            commands += block_commands(lines, start, end)
    fenced = {i for _, start, end in page_blocks(lines) for i in range(start, end)}
    return commands, [f"{path}:{i + 1}: a command outside of a console block: {line}"
        for i, line in enumerate(lines) if i not in sessions
        and (i in fenced or line.startswith("    ")) and re.match(r"\s*(\$ )?bertc [a-z]", line)]


def run_commands(commands, folder):
    """(exit status, lines printed) of each command; all run in one shell."""
    mark = "@@docs"
    script = "exec 2>&1\n"
    for command in commands:
        script += f"{command.text}\nstatus=$?; printf '\\n{mark} %d\\n' $status; (exit $status)\n"
    with open(os.path.join(folder, ".script"), "w", encoding="utf-8") as file:
        file.write(script)
    environment = dict(os.environ, LC_ALL="C.UTF-8", COLUMNS="80")
    done = subprocess.run(["bash", ".script"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, check=False)
    results, lines = [], []
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        if line.startswith(mark):
            results.append((int(line.split()[1]), lines[:-1] if lines and not lines[-1] else lines))
            lines = []
        else:
            lines.append(line)
    return results + [(-1, ["the shell ended"])] * (len(commands) - len(results))


def number_matches(want, got):
    if not re.search(r"[.e]", want):
        return want == got
    return abs(float(want) - float(got)) <= TOLERANCE * max(1, abs(float(want)))


def line_matches(want, got):
    want, got = re.sub(" +", " ", want), re.sub(" +", " ", got)
    rest = ".*" if want.endswith("...") else ""
    wanted = re.split(rf"(~?{NUMBER})", want.removesuffix("..."))
    pattern = "".join(f"({NUMBER})" if i % 2 else re.escape(part) for i, part in enumerate(wanted)) + rest
    found = re.fullmatch(pattern, got)
    if not found:
        return False
    return all(number[0] == "~" or number_matches(number, value)
        for number, value in zip(wanted[1::2], found.groups()))


def output_matches(want, got):
    if not want:
        return not got
    if want[0] == "...":
        return any(output_matches(want[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and line_matches(want[0], got[0]) and output_matches(want[1:], got[1:])


def command_failed(commands, i, status):
    if status == 0 or any("error" in line for line in commands[i].output):
        return False
    return i + 1 == len(commands) or commands[i + 1].text != "echo $?"


def link_folders(folder):
    os.mkdir(os.path.join(folder, "build"))
    build = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build", "release")))
    links = {"examples": os.path.join(ROOT, "examples"), "build/release": build}
    shared = os.environ.get("SHARED", "")
    if shared:
        links |= {"models": os.path.join(shared, "models"), "data": os.path.join(shared, "data")}
    for name, target in links.items():
        os.symlink(target, os.path.join(folder, name))
    os.environ["PATH"] = build + os.pathsep + os.environ["PATH"]


def page_check(path, kind, write):
    """(commands run, complaints)."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    commands, complaints = page_commands(path, lines, kind)
    with tempfile.TemporaryDirectory() as folder:
        link_folders(folder)
        results = run_commands(commands, folder) if commands else []
    for i in reversed(range(len(commands))):
        command, (status, got) = commands[i], results[i]
        if command_failed(commands, i, status):
            complaints.append(f"{path}:{command.line + 1}: exit {status}: {command.text}")
        if output_matches(command.output, got) and not (write and command.output == ["..."]):
            continue
        if write:
            lines[command.line + 1:command.end] = got
            continue
        complaints.append(f"{path}:{command.line + 1}: {command.text}\nthe page shows\n"
            + "\n".join(command.output) + "\nprinted was\n" + "\n".join(got))
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    return len(commands), complaints


def main(arguments):
    write = "--write" in arguments
    kind = "".join(a[len("--only="):] for a in arguments if a.startswith("--only="))
    failed = 0
    for page in [a for a in arguments if not a.startswith("--")]:
        count, complaints = page_check(page, kind, write)
        print(f"{page}: {count} commands", *reversed(complaints), sep="\n")
        failed += len(complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
