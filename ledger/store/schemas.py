"""The published JSON Schema of every event: `python -m ledger.store.schemas DIRECTORY` writes them."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from ledger.store.mapper import SCHEMA_VERSIONS, TOPICS, Body

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, bytes]:
    """File name and text of each event's schema: the body as stored, its topic as title."""
    written = {}
    for name, cls in TOPICS.items():
        topic = f"{name}:{SCHEMA_VERSIONS.get(name, 1)}"
        schema: dict[str, Any] = {
            "$schema": DIALECT,
            **_inlined(msgspec.json.schema(Body[cls])),  # type: ignore[valid-type] # a type at run time
            "title": topic,
            "description": " ".join((cls.__doc__ or "").split()),
        }
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2)
        written[f"{name}.json"] = text + b"\n"
    return written


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the body itself at the top instead of behind a reference."""
    definitions = schema["$defs"]
    body = definitions.pop(schema["$ref"].rpartition("/")[2])
    return {"title": "", "description": "", **body, "$defs": definitions}


def main(directory: Path) -> None:
    """Writes every schema, and removes those of events that no longer exist."""
    directory.mkdir(parents=True, exist_ok=True)
    written = schemas()
    for old in directory.glob("*.json"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (directory / name).write_bytes(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
