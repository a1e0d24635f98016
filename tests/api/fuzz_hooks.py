"""What schemathesis loads: whose token each case has, lines of JSON, and a record of every call."""

import json
import os
import re
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from ledger.store.lanes import account_id, lane_of

TOKENS: dict[str, str | None] = json.loads(os.environ["FUZZ_TOKENS"])
"""By asker, None for who has none."""
LAST_TOKENS: dict[str, str] = json.loads(os.environ["FUZZ_LAST_TOKENS"])
"""By asker, for the operation that ends a session."""
ACCOUNTS: list[str] = json.loads(os.environ["FUZZ_ACCOUNTS"])
CALLS = Path(os.environ["FUZZ_CALLS"])
EXAMPLE = "HARBOUR-1"
"""The account of the document's examples: here it is one of ACCOUNTS."""

STARTED_AT = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

_POSITION = re.compile(r"[0-9]{1,2}-[0-9]{1,18}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_ASKER_OF = {f"Bearer {token}": asker for asker, token in TOKENS.items() if token is not None}
_ASKER_OF |= {f"Bearer {token}": asker for asker, token in LAST_TOKENS.items()}
_turns = cycle(TOKENS)
_accounts = cycle(ACCOUNTS)
_numbers = count()


@schemathesis.auth(refresh_interval=None, retry_on=[])
class InTurn:
    """Gives the cases to one asker after the other; most of those that try every value of one
    parameter after the other to anybody, most others to who may ask."""

    def get(self, case: Any, context: Any) -> str | None:
        asker = next(_turns)
        is_covering = case.meta is not None and case.meta.phase.name == TestPhase.COVERAGE
        if not is_covering and next(_numbers) % 3:
            asker = self._permitted(case, asker)
        ends_session = case.operation.definition.raw["operationId"] == "sign_out"
        return LAST_TOKENS.get(asker) if ends_session else TOKENS[asker]

    def _permitted(self, case: Any, asker: str) -> str:
        permission = case.operation.definition.raw["x-permission"]
        service = ["service"] if permission["scope"] else []
        known = [*permission["roles"], *service]
        return known[next(_numbers) % len(known)] if known else asker

    def set(self, case: Any, token: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """A line for each item; what is not even an array is a line by itself."""
    if isinstance(value, bytes):
        return value
    items = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(item).encode() for item in items)


@schemathesis.deserializer("application/x-ndjson")
def items(context: Any, response: Any) -> Any:
    """What the lines hold."""
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Makes sense of what the document only says in words, where nothing is wrong on purpose."""
    _of_the_place(case)
    headers, query = case.headers or {}, case.query or {}
    # A position that a command was told, so that there is something to answer.
    if _fits(_POSITION, headers.get("Ledger-Position")):
        headers["Ledger-Position"] = _position(case)
    if not _is_wrong(case, ParameterLocation.HEADER) and _fits(
        _KEY, headers.get("Idempotency-Key")
    ):
        headers["Idempotency-Key"] += f"-{next(_numbers)}"
    if not _is_wrong(case, ParameterLocation.QUERY):
        if {"at", "known_at"} <= query.keys():
            del query["at" if next(_numbers) % 2 else "known_at"]
        if "at" in query:
            query["at"] = _position(case)
        elif "known_at" in query:
            query["known_at"] = STARTED_AT


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Writes down who asked what and what came back; the test counts and judges it."""
    sent = response.request.headers.get("Authorization", "")
    body = response.content if response.status_code >= 400 else b""
    call = {
        "asker": _ASKER_OF.get(sent if isinstance(sent, str) else "", "anonymous"),
        "operation": case.operation.definition.raw["operationId"],
        "path": response.request.url,
        "status": response.status_code,
        "media_type": (response.headers.get("content-type") or [""])[0],
        "body": body.decode(errors="replace"),
    }
    with CALLS.open("a") as calls:
        calls.write(json.dumps(call) + "\n")


def _of_the_place(case: Any) -> None:
    """The account and the invoice of the examples become ones that are here."""
    places = case.path_parameters or {}
    if places.get("account_number") == EXAMPLE:
        places["account_number"] = next(_accounts)
    for given in (places, case.body if isinstance(case.body, dict) else {}):
        for name in ("number", "invoice"):
            if str(given.get(name, "")).startswith(EXAMPLE):
                given[name] = "i-1"


def _position(case: Any) -> str:
    number = str((case.path_parameters or {}).get("account_number", ACCOUNTS[0]))
    known = number if number in ACCOUNTS else ACCOUNTS[0]
    return f"{lane_of(account_id('us', known))}-1"


def _is_wrong(case: Any, where: ParameterLocation) -> bool:
    return case.meta is not None and bool(case.meta.is_negative_at(where))


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
