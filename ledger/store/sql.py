"""SQL kept in .sql files: named, described blocks, loaded once and looked up by name.

A block starts with `-- name: <name>`, goes on with at least one comment line that says what it
answers or does, and ends where the next block starts.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from ledger.store.faults import MalformedSql

_NAME = re.compile(r"-- name: ([a-z][a-z0-9_]*)")


def load(package: str, file: str) -> Mapping[str, bytes]:
    """The blocks of a package's .sql file by name, in the form psycopg executes.

    Raises MalformedSql for a block without description or statement, or a name used twice.
    """
    blocks: dict[str, bytes] = {}
    for name, lines in _blocks(f"{package}/{file}", read(package, file)):
        comments = [line for line in lines if line.startswith("--")]
        statement = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if name in blocks or not comments or not statement:
            raise MalformedSql(f"{package}/{file}: block {name!r} is double, bare or empty")
        blocks[name] = statement.removesuffix(";").encode()
    return blocks


def read(package: str, file: str) -> str:
    """The text of a package's file."""
    return (files(package) / file).read_text(encoding="utf-8")


def _blocks(where: str, text: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", list[str]()
    for line in text.splitlines():
        if started := _NAME.fullmatch(line.rstrip()):
            if name:
                yield name, lines
            name, lines = started[1], []
        elif name:
            lines.append(line)
        elif line.strip() and not line.startswith("--"):
            raise MalformedSql(f"{where}: {line!r} stands before the first block")
    if name:
        yield name, lines
