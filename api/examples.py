"""The documentation's examples: requests that were made, and what they were answered with."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec


class Request(msgspec.Struct, frozen=True):
    """What was asked; `body` is UNSET where nothing was sent."""

    path: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = msgspec.UNSET


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any


class Example(msgspec.Struct, frozen=True):
    """One request of an operation and its answer."""

    request: Request
    reply: Reply


def examples() -> Mapping[str, Example]:
    """By the operation's name; made by `python -m tests.api.make_examples`."""
    text = files("api").joinpath("examples.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Example])
