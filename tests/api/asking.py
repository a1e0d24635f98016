"""Operations as tests find them, and requests of a story that asks them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.app import operations
from api.operations import Operation
from api.wiring import Database, Doors


def operations_of(databases: Mapping[str, Database]) -> list[Operation]:
    """Everything that a service over these databases can do."""
    return operations(Doors(tuple(databases.values())))


@dataclass(frozen=True)
class Told:
    """What was answered so far, by operation, and the last link that was mailed to a name."""

    answers: dict[str, Any]
    mailed: Callable[[str], str]


Later = Callable[[Told], str]


@dataclass(frozen=True)
class Ask:
    """One request; `shown` makes it and its answer the example of the operation.

    A place or a field of the body may be a function of what was told before.
    `cut` are the fields of a long answer that the example keeps. `until`: asked again until a field
    of the answer has this value.
    """

    operation: str
    asker: str | None = "finance"
    places: Mapping[str, str | Later] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    shown: bool = True
    cut: tuple[str, ...] = ()
    until: tuple[str, Any] | None = None
