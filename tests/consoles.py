"""Runs the console blocks of a page: `$ command` lines, and under each the output it must give.

In the output expected, `...` stands for anything, within a line or as a line of its own for any
lines. Commands of a page run in one shell, so a variable that one sets is there for the next.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

COMMAND_LIMIT_S = 60
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "-- end of output --"


class Step(NamedTuple):
    """A command, and the output that must follow it."""

    command: str
    expected: str


def steps(page: Path) -> list[Step]:
    """The commands of a page's console blocks, in order, each with the output shown for it."""
    return [step for block in _BLOCK.findall(page.read_text()) for step in _steps_of(block)]


def _steps_of(block: str) -> Iterator[Step]:
    command, expected = "", ""
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield Step(command, expected)
            command, expected = line[2:], ""
        elif line.startswith("> ") and not expected:
            command += "\n" + line[2:]
        else:
            expected += line + "\n"
    if command:
        yield Step(command, expected)


def differences(
    page: Path, folder: Path, environment: Mapping[str, str], swaps: Mapping[str, str]
) -> list[str]:
    """What a page shows that does not come true: each command with the output expected and seen.

    Commands run in `folder`. `swaps` replaces texts of the commands (such as a port), and is undone in what they print.
    """
    found = []
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=dict(environment),
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        for step in steps(page):
            command = step.command
            for shown, real in swaps.items():
                command = command.replace(shown, real)
            shell.stdin.write(f"{{ {command}\n}} </dev/null; echo; echo '{_END}'\n")
            shell.stdin.flush()
            seen = "".join(_until_end(shell.stdout)).removesuffix("\n")
            for shown, real in swaps.items():
                seen = seen.replace(real, shown)
            if not matches(step.expected, seen):
                found.append(f"$ {step.command}\nexpected:\n{step.expected}\nseen:\n{seen}")
    finally:
        shell.stdin.close()
        shell.wait(COMMAND_LIMIT_S)
        shell.stdout.close()
    return found


def _until_end(lines: TextIO) -> Iterator[str]:
    for line in lines:
        if line == f"{_END}\n":
            return
        yield line
    raise AssertionError("the shell ended")


def matches(expected: str, seen: str) -> bool:
    """Whether an output is the one expected; space at the ends of lines and pages is nothing."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
    seen = "".join(line.rstrip() + "\n" for line in seen.rstrip().splitlines())
    return re.fullmatch(pattern, seen) is not None
