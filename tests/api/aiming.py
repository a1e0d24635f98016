"""Where hostile values go: every parameter and every field of every operation, the rest in order."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote
from zlib import crc32

from msgspec import UNSET

from api.examples import Example
from api.operations import JSON, Operation
from api.security.scope import KEEP_LOGINS
from tests.api.hostile import BODIES, ENCODED, MEDIA_TYPES, encoded, headers, literals
from tests.api.in_process import Sent

Path = tuple[str | int, ...]
EXAMPLE = "HARBOUR-1"
"""The account of the examples; here others take its place."""
_INVOICE = "i-1"
_HERE = {
    "invoice": _INVOICE,
    "payment_id": "p-3",
    "account": "",
    "amount": "0.01",
    "effective_on": "2020-04-01",
}
"""What is otherwise than in the examples; "" is the account, and amounts go round often."""
_DEPTH_MAX = 4
_READ = b"(the media type that is read)"
_fresh = count()


@dataclass(frozen=True)
class Target:
    """An operation, a request that is in order but for what is aimed, and where to aim in its body."""

    operation: Operation
    example: Example
    account: str
    token: str | None
    fields: Sequence[Path]

    def sent(
        self,
        *,
        what: str = "",
        places: Mapping[str, bytes] | None = None,
        query: bytes = b"",
        given: Mapping[str, bytes | None] | None = None,
        body: bytes | None = None,
        media_type: bytes | None = _READ,
    ) -> Sent:
        """The request with something in place of what is in order."""
        operation, asked = self.operation, self.example.request
        known = {
            name: quote(self._of_here(value), safe="").encode()
            for name, value in asked.path.items()
        }
        known |= places or {}
        path = re.sub(
            rb"\{(\w+)\}", lambda found: known[found[1].decode()], operation.path.encode()
        )
        named: dict[str, bytes | None] = {
            name: value.encode() for name, value in asked.headers.items()
        }
        named.pop("Ledger-Position", None)
        if "Idempotency-Key" in named:
            named["Idempotency-Key"] = b"hostile-%d" % next(_fresh)
        if operation.body is not None:
            named["Content-Type"] = operation.body_type.encode()
        if media_type is not _READ:
            named["Content-Type"] = media_type
        if self.token is not None:
            named["Authorization"] = f"Bearer {self.token}".encode()
        named |= given or {}
        return Sent(
            operation.method,
            path,
            query,
            [(name.lower().encode(), value) for name, value in named.items() if value is not None],
            self.body() if body is None else body,
            f"{operation.name}: {what}",
        )

    def body(self, aimed: Mapping[Path, bytes] | None = None) -> bytes:
        """The body of the example, of what is here, with JSON put where it is aimed."""
        shown = self.example.request.body
        if shown is UNSET:
            return b""
        found = dict(shown if self.operation.body_type == JSON else shown[0])
        for name in found:
            if name == "account_number" or name.removesuffix("_id") in self.operation.name:
                found[name] = f"h-{next(_fresh)}"
            elif name in _HERE:
                found[name] = _HERE[name] or self.account
        marks = {}
        for n, (at, value) in enumerate((aimed or {}).items()):
            found = _put(found, at, f"@{n}@")
            marks[f'"@{n}@"'.encode()] = value
        return re.sub(rb'"@\d+@"', lambda mark: marks[mark[0]], json.dumps(found).encode())

    def _of_here(self, value: str) -> str:
        if value == EXAMPLE or value.startswith("HARBOUR-2"):
            return self.account
        return _INVOICE if value.startswith(EXAMPLE) else value


def fields_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> list[Path]:
    """The place of every field that a body may have, the first of an array's items for all."""

    def walk(part: Mapping[str, Any], at: Path) -> Iterator[Path]:
        if "$ref" in part:
            part = components[part["$ref"].rpartition("/")[2]]
        if at:
            yield at
        if len(at) < _DEPTH_MAX:
            for inner in part.get("anyOf", ()):
                yield from (found for found in walk(inner, at) if found != at)
            for name, inner in part.get("properties", {}).items():
                yield from walk(inner, (*at, name))
            if "items" in part:
                yield from walk(part["items"], (*at, 0))

    return list(dict.fromkeys(walk(schema, ())))


def _put(whole: Any, at: Path, value: Any) -> Any:
    """The same with a value at a place, whose containers are made where there are none."""
    if not at:
        return value
    first, *rest = at
    if isinstance(first, int):
        items = whole if isinstance(whole, list) and whole else [{}]
        return [_put(items[0], tuple(rest), value), *items[1:]]
    held = whole if isinstance(whole, dict) else {}
    return {**held, first: _put(held.get(first), tuple(rest), value)}


def volleys(target: Target, share: int, turn: int) -> Iterator[list[Sent]]:
    """Requests with one hostile value each, by what they are aimed at.

    Of each place's values only a `share`th is taken: by lot, but other ones in the next place.
    """
    operation = target.operation
    aimed = [
        *(_at_path(target, name) for name in re.findall(r"\{(\w+)\}", operation.path)),
        *(_at_query(target, name) for name in operation.parameters),
        *(_at_header(target, header.name) for header in operation.headers),
        *(_at_field(target, at) for at in target.fields),
    ]
    for place, requests in enumerate(aimed, start=turn):
        yield [sent for n, sent in enumerate(requests) if (_lot(n) + place) % share == 0]
    yield from _tricks(target)


def _lot(n: int) -> int:
    return crc32(n.to_bytes(4, "big"))


def _at_path(target: Target, name: str) -> Iterator[Sent]:
    return (
        target.sent(what=f"path {name} {value.name}", places={name: value.sent})
        for value in encoded()
        if value.sent.isascii()  # the server lets no other byte by
    )


def _at_query(target: Target, name: str) -> Iterator[Sent]:
    return (
        target.sent(what=f"query {name} {value.name}", query=b"%b=%b" % (name.encode(), value.sent))
        for value in encoded()
    )


def _at_header(target: Target, name: str) -> Iterator[Sent]:
    # A login that is made costs a slow hash of its password: there the body is refused.
    body = b"{}" if target.operation.permission is KEEP_LOGINS else None
    return (
        target.sent(what=f"header {name} {value[:40]!r}", given={name: value}, body=body)
        for value in headers()
    )


def _at_field(target: Target, at: Path) -> Iterator[Sent]:
    return (
        target.sent(what=f"field {at} {value[:40]!r}", body=target.body({at: value}))
        for value in literals()
    )


def _tricks(target: Target) -> Iterator[list[Sent]]:
    """What is hostile about a request as a whole: all of it, everywhere."""
    for name in target.operation.parameters:
        at = name.encode() + b"="
        yield [
            target.sent(what=f"query {name} twice", query=b"%b1&%b1" % (at, at)),
            target.sent(what=f"query {name} as a list", query=name.encode() + b"[]=1"),
        ]
    if target.operation.parameters:
        yield [target.sent(what=f"query {sent!r}", query=sent + b"=1") for sent in ENCODED]
    for header in target.operation.headers:
        if header.required:
            yield [target.sent(what=f"no {header.name}", given={header.name: None})]
    if target.operation.body is not None:
        yield [target.sent(what=f"body {body[:40]!r}", body=body) for body in BODIES]
        yield [target.sent(what=f"as {kind!r}", media_type=kind) for kind in MEDIA_TYPES]
