"""A page of a list of an account: filters, order and cursors, the same for every list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
from psycopg import sql

from api import parameters
from api.account_reads import AS_OF, Reading
from api.cursors import list_of, seal, unseal
from api.parameters import CURSOR, FROM, INVOICE, LIMIT, LIMIT_DEFAULT, TO, Parameter
from api.problems import Problem
from ledger.store.sql import load

LAST_OF_DAYS = date.max
_FIRST_OF_DAYS = date.min
_LAST_SEQ = 2**63 - 1
_SQL = load("api", "lists.sql")

T = TypeVar("T")
Shown = Callable[[Mapping[str, Any], str], msgspec.Struct]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list, newest first, and the moment it was read at."""

    data: list[T]
    next_cursor: str | None
    effective_on: date
    known_at: datetime | None
    position: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A kind of thing an account has: the function of the views that lists it, and how it shows.

    `id` and `on` are columns: what it is called, and the day lists are in order of. A status may
    have a function of its own in `of_status`, which then is faster; so may an invoice, in
    `of_invoice`, of which everything has the status `status_on_invoice`. `touches_invoices`:
    filtered by an invoice it names or was put on.
    """

    name: str
    shown: Shown
    row: type[msgspec.Struct]
    id: str
    on: str = "effective_on"
    statuses: tuple[str, ...] = ()
    of_status: Mapping[str, str] = field(default_factory=dict)
    of_invoice: str | None = None
    status_on_invoice: str = ""
    touches_invoices: bool = False

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What a request for a page may say."""
        found = [*AS_OF, FROM, TO, LIMIT, CURSOR]
        if self.statuses:
            schema = {"type": "string", "enum": list(self.statuses)}
            read = parameters.one_of(*self.statuses)
            found.append(Parameter("status", read, schema, "Only what has this status."))
        if self.of_invoice or self.touches_invoices:
            found.append(INVOICE)
        return parameters.named(*found)

    def page_statement(self, given: Mapping[str, Any]) -> bytes:
        """The statement for a page, by what it is filtered by."""
        status, is_of_invoice = given.get("status"), "invoice" in given
        if is_of_invoice and self.of_invoice:
            return self._statement("page_of_invoice", self.of_invoice)
        if is_of_invoice:
            return self._statement("page_put_on_invoice", f"invoice_{self.name}")
        if function := self.of_status.get(status or ""):
            return self._statement("page", function)
        return self._statement("page_of_status" if status else "page", self.name)

    def one_statement(self) -> bytes:
        """The statement for one thing by its id."""
        return self._statement("one", self.name)

    def _statement(self, block: str, function: str) -> bytes:
        return _statement(block, function, self.on, self.id)


async def page(listing: Listing, reading: Reading, key: bytes) -> Page[Any]:
    """A page as the request asks for; `key` signs cursors.

    Raises Problem (422) for a cursor that is not of this list with these filters.
    """
    given = reading.given
    limit = given.get("limit", LIMIT_DEFAULT)
    filters = {n: v for n, v in given.items() if n not in ("limit", "cursor")}
    kind = list_of(listing.name, f"{reading.region}/{reading.at.number}", filters)
    before_on, before_seq = LAST_OF_DAYS, _LAST_SEQ
    if "cursor" in given:
        before_on, before_seq = unseal(key, kind, given["cursor"], tuple[date, int])
    rows = []
    if not _is_empty(listing, given):
        rows = await reading.named(
            listing.page_statement(given),
            **{"from": given.get("from", _FIRST_OF_DAYS), "to": given.get("to", LAST_OF_DAYS)},
            day=reading.day or LAST_OF_DAYS,
            status=given.get("status"),
            invoice=given.get("invoice"),
            before_on=before_on,
            before_seq=before_seq,
            limit=limit + 1,
        )
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        next_cursor = seal(key, kind, (last[listing.on], last["seq"]))
    return Page(
        data=[listing.shown(row, reading.currency) for row in rows[:limit]],
        next_cursor=next_cursor,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )


async def one(listing: Listing, reading: Reading, id: str) -> msgspec.Struct:
    """One thing by its id; raises Problem (404)."""
    rows = await reading.named(listing.one_statement(), day=reading.day or LAST_OF_DAYS, id=id)
    if not rows:
        raise Problem("item_unknown", f"the account has nothing called {id[:64]!r} here")
    return listing.shown(rows[0], reading.currency)


def _is_empty(listing: Listing, given: Mapping[str, Any]) -> bool:
    """Whether the filters contradict each other."""
    asked = given.get("status", listing.status_on_invoice)
    return bool("invoice" in given and listing.of_invoice and asked != listing.status_on_invoice)


@cache
def _statement(block: str, function: str, on: str, id: str) -> bytes:
    return (
        sql.SQL(_SQL[block].decode())
        .format(
            list=sql.Identifier("receivables", function),
            on=sql.Identifier(on),
            id=sql.Identifier(id),
        )
        .as_string()
        .encode()
    )
