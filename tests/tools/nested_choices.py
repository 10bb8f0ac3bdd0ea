"""nested_choices.py FILE...: prints FILE:LINE of each `?:` that stands inside another's arms or condition.

Skips comments, strings and preprocessor lines. A `?` is nested if its statement has one before it outside
closed parentheses, or if it is inside the parentheses of another one."""

import re
import sys

SKIPPED = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+' | ^[ \t]*\#(?:\\\n|[^\n])*""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)


def nested(text):
    """The lines of text, from 1, where one stands."""
    text = SKIPPED.sub(lambda match: "\n" * match[0].count("\n"), text)
    line, levels = 1, [0]  # how many a level of brackets has in its statement, or its part between commas
    for char in text:
        if char == "\n":
            line += 1
        elif char in "([{":
            levels.append(0)
        elif char in ")]}":
            if len(levels) > 1:
                levels.pop()
            if char == "}":
                levels[-1] = 0
        elif char in ";,":
            levels[-1] = 0
        elif char == "?":
            if any(levels):
                yield line
            levels[-1] += 1


for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        for where in nested(file.read()):
            print(f"{name}:{where}: a ?: inside a ?:")
