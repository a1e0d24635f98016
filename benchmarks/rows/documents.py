"""Documents: invoices set in a second of one core's time, and the longest that is listed."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from hashlib import sha256
from typing import NamedTuple

import msgspec

from api.documents.content import (
    Biller,
    CategoryAmount,
    Customer,
    Invoice,
    Line,
    TaxAmount,
    TaxLine,
)
from api.routes.document_content import LINES_MAX
from benchmarks.bench import Bench
from benchmarks.pairs import spread
from benchmarks.peak import Peak
from benchmarks.results import Found
from ledger.calendar import Net
from ledger.processes import Parent, Worker

LINES = 40
INVOICES = 60
AT_LEAST = 40.0
_WORDS = (
    *("call", "conference", "minutes", "toll-free", "line", "rent", "recording", "operator"),
    *("bridge", "international", "monthly", "service", "transcription", "audio", "port", "usage"),
)
_FIRST_ON, _LAST_ON = date(2020, 7, 1), date(2020, 7, 31)


class _Set(NamedTuple):
    """What it took to set some invoices, and what came of them."""

    cpu_s: float
    digests: list[bytes]
    bytes: int


def documents(bench: Bench, found: Found) -> None:
    """No two invoices are alike. Time is that of the process that sets them, not of the clock."""
    count = bench.scaled(INVOICES, at_least=2, at_most=1_000)
    with typesetter() as worker:
        _set(worker, [invoice(-1, LINES)])  # it is there, with the fonts it needs
        rounds, first = [], None
        for n in range(bench.pairs):
            made = _set(worker, [invoice(n * count + m, LINES) for m in range(count)])
            rounds.append(count / made.cpu_s)
            first = first or made
        assert first is not None
        again = _set(worker, [invoice(m, LINES) for m in range(count)])
    found.figure("invoices set", unit="/s of a core", at_least=AT_LEAST, **spread(rounds))
    found.require(first.digests == again.digests, "set again, an invoice had other bytes")
    found.note(f"{LINES} lines each, {first.bytes / count / 1_024:,.0f} KiB")
    lines = bench.scaled(LINES_MAX, at_least=100, at_most=LINES_MAX)
    with Peak() as peak, typesetter() as worker:
        longest = _set(worker, [invoice(0, lines)])
    found.figure(f"an invoice of {lines:,} lines", longest.cpu_s, "s of a core")
    found.note(
        f"{lines:,} lines: {longest.bytes / 2**20:,.1f} MiB, with this process {peak.mib:,.0f} MiB "
        "of memory at most"
    )


@contextmanager
def typesetter() -> Iterator[Worker]:
    """A process that sets invoices, as those of a service do."""
    with closing(Worker("typesetter", _work)) as worker:
        yield worker
        worker.terminate()


def invoice(seed: int, lines: int) -> bytes:
    """An invoice of so many lines as JSON, made of the seed."""
    dice = random.Random(seed)
    taken = [_line(dice, n, lines) for n in range(lines)]
    charges = sum(line.amount_minor for line in taken)
    tax = sum(line.taxes[0].amount_minor for line in taken)
    return msgspec.json.encode(
        Invoice(
            biller=_BILLER,
            customer=_CUSTOMER,
            kind="invoice",
            number=f"BENCH-{seed}",
            period=(_FIRST_ON, _LAST_ON),
            issued_on=_LAST_ON,
            due_on=_LAST_ON + timedelta(days=30),
            lines_count=lines,
            lines=taken,
            categories=[CategoryAmount(category="usage", amount_minor=charges)],
            taxes=[TaxAmount(name="VAT", rate="0.2", base_minor=charges, amount_minor=tax)],
            charges_minor=charges,
            credits_minor=0,
            tax_minor=tax,
            carried_minor=0,
            total_minor=charges + tax,
            applied=[],
        )
    )


def _line(dice: random.Random, n: int, lines: int) -> Line:
    amount = dice.randrange(1_00, 999_99)
    return Line(
        effective_on=_FIRST_ON + timedelta(days=n * 31 // lines),
        description=" ".join(dice.choices(_WORDS, k=5)),
        category="usage",
        quantity=str(dice.randrange(1, 1_000)),
        unit_price=f"0.{dice.randrange(1_000, 9_999)}",
        amount_minor=amount,
        taxes=[TaxLine(name="VAT", rate="0.2", amount_minor=amount // 5)],
    )


_BILLER = Biller(
    region="us",
    zone="America/New_York",
    company="Example Conferencing Inc.",
    email="billing@example.com",
    phone="+1 555 0100",
    address="1 Example Street, New York",
)
_CUSTOMER = Customer(
    account_number="BENCH",
    client_id=None,
    company="Harbour Lights Ltd",
    country="USA",
    currency="USD",
    invoice_delivery="full_detail",
    payment_method="cash_check",
    language="en",
    terms=Net(30),
)


def _set(worker: Worker, invoices: Sequence[bytes]) -> _Set:
    worker.tell(invoices)
    told = worker.said()
    assert isinstance(told, _Set), told
    return told


def _work(parent: Parent) -> None:
    """What the typesetter's process runs."""
    os.environ["RAYON_NUM_THREADS"] = "1"  # read by the library when it begins
    from api.documents.typesetting import Typesetter

    typesetter, decode = Typesetter(), msgspec.json.Decoder(Invoice).decode
    while True:
        invoices = parent.hear()
        started = time.process_time()
        made = [typesetter.pdf(decode(one)) for one in invoices]
        cpu_s = time.process_time() - started
        parent.tell(_Set(cpu_s, [sha256(pdf).digest() for pdf in made], sum(map(len, made))))
