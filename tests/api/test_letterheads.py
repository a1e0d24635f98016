"""Letterheads: a document is headed with the biller's contact of its own day, and stays so."""

import asyncio
import itertools
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from api.app import create_app
from api.regions import Contact, DatedContact
from api.wiring import Database, Doors
from tests.api.books import TOKENS
from tests.api.in_process import Sent, in_process
from tests.api.serving import Service
from tests.documents.contents import text_of

OLD = Contact(company="Old Street Billing", address="1 Old Street")
MOVED_ON = date(2020, 3, 1)
MOVED = (
    DatedContact(company=OLD.company, address=OLD.address),
    DatedContact(company="New Street Billing", address="2 New Street", since=MOVED_ON),
)
OPENING = {
    "account_number": "MOVES-1",
    "company": "Quay Street Ltd",
    "country": "USA",
    "terms": {"kind": "net", "days": 30},
    "opened_on": "2020-01-01",
}
_keys = (f"moves-{n}" for n in itertools.count(1))


def told(service: Service, path: str, body: dict[str, Any]) -> str:
    """The position of a command that was done."""
    answer = service.send("POST", path, TOKENS["us"], body, key=next(_keys))
    assert 201 == answer.status, answer
    position: str = answer.json["position"]
    return position


def documents(
    database: Database, contact: Contact | tuple[DatedContact, ...], position: str, *paths: str
) -> list[tuple[bytes, bytes]]:
    """Each document and its ETag, as a service that knows this contact makes them."""
    region = msgspec.structs.replace(database.region, contact=contact)
    headers = [
        (b"authorization", f"Bearer {TOKENS['us']}".encode()),
        (b"ledger-position", position.encode()),
    ]

    async def ask() -> list[tuple[bytes, bytes]]:
        async with in_process(create_app(Doors((replace(database, region=region),)))) as asking:
            found = []
            for path in paths:
                route, _, query = f"/v1/accounts/MOVES-1/{path}".partition("?")
                got = await asking.ask(Sent("GET", route.encode(), query.encode(), headers))
                assert 200 == got.status, got
                found.append((got.body, got.headers[b"etag"]))
            return found

    return asyncio.run(ask())


def test_a_biller_who_moves_leaves_old_documents_as_they_are(
    us: Database, service: Service
) -> None:
    """A contact added from a day on heads what is of that day or later, and alters no other byte."""
    told(service, "/v1/accounts", OPENING)
    path = "/v1/accounts/MOVES-1"
    for month, last in (("01", "31"), ("02", "29"), ("03", "01")):
        charge = {"charge_id": f"c-{month}", "amount": "10.00", "category": "voice"}
        day = f"2020-{month}-{last}"
        told(service, f"{path}/charges", {**charge, "description": "Calls", "effective_on": day})
        position = told(
            service,
            f"{path}/invoices",
            {"period_end": day, "issued_on": day, "number": f"N-{month}"},
        )
    of_february = "statement.pdf?from=2020-02-01&to=2020-02-29"
    of_march = "statement.pdf?from=2020-02-01&to=2020-03-01"
    paths = ("invoices/N-01.pdf", "invoices/N-02.pdf", of_february, "invoices/N-03.pdf", of_march)
    before = documents(us, OLD, position, *paths)
    after = documents(us, MOVED, position, *paths)
    assert before[:3] == after[:3]
    assert all("Old Street Billing\n1 Old Street" in text_of(pdf) for pdf, _ in before)
    assert all("New Street Billing\n2 New Street" in text_of(pdf) for pdf, _ in after[3:])
    assert all("Old Street" not in text_of(pdf) for pdf, _ in after[3:])
    assert all(old[1] != new[1] for old, new in zip(before[3:], after[3:], strict=True))
