"""Gathering what documents say from the views: an invoice as it was issued, a statement as asked for."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from api.account_reads import Reading
from api.amounts import Money
from api.documents import content
from api.lists import LAST_OF_DAYS
from api.problems import Problem, invalid_query
from api.regions import Region
from api.routes.statement import Statement, statement
from ledger.calendar import Terms, month_end
from ledger.store.sql import load

LINES_MAX = 5_000
"""Most lines that a document lists: one or two seconds of work and 500 MB of memory."""
QUICK_LINES = 500
TAXES_MAX = 50
"""Most taxes that are told apart by rate: a rate is whatever text a charge came with."""
_DECIMAL = re.compile(r"([0-9]+(?:\.[0-9]*[1-9])?)(?:0*|\.0+)", re.ASCII)
"""A number, and the zeros after it that say nothing."""

Row = Mapping[str, Any]

_SQL = load("api.documents", "documents.sql")
_LISTS = load("api", "lists.sql")


async def gather_invoice(reading: Reading, region: Region) -> content.Invoice:
    """The invoice as it was issued: a function of the events up to its own, and of nothing later.

    Raises Problem (404).
    """
    number = reading.given["number"]
    rows = await reading.named(_SQL["invoice"], number=number)
    if not rows or rows[0]["position"] > reading.stands_at:
        raise Problem("item_unknown", f"the account has no invoice {number[:64]!r}")
    [row] = rows
    lines = await _lines(reading, number, row) if row["lines_count"] <= LINES_MAX else None
    applied = await reading.rows(_SQL["applied"], number=number, seq=row["seq"])
    found = content.Invoice(
        biller=biller(region, row["issued_on"]),
        customer=await _customer(reading, row["issued_on"], row["position"]),
        kind=row["kind"],
        number=number,
        period=(row["period_start"], row["period_end"]) if row["kind"] == "invoice" else None,
        issued_on=row["issued_on"],
        due_on=row["due_on"],
        lines_count=row["lines_count"],
        lines=lines,
        categories=msgspec.convert(row["categories"], list[content.CategoryAmount]),
        taxes=_taxes(row["taxes"], lines),
        charges_minor=row["charges_minor"],
        credits_minor=row["credits_minor"],
        tax_minor=row["tax_minor"],
        carried_minor=row["carried_minor"],
        total_minor=row["total_minor"],
        applied=[_applied(*one) for one in applied],
        returned_payment=row["returned_payment"] if row["kind"] == "debit" else None,
    )
    _assert_adds_up(found)
    return found


async def gather_statement(reading: Reading, key: bytes, region: Region) -> content.Statement:
    """What the statement of account says, as `statement` reads it; raises Problem (422)."""
    told = await statement(reading, key)
    if len(told.lines) > LINES_MAX:
        says = f"more than {LINES_MAX} lines in a document: ask for fewer days"
        raise invalid_query("from", says)
    closes_on = max(min(told.last_on, told.effective_on), told.first_on)
    return content.Statement(
        biller=biller(region, closes_on),
        customer=await _customer(reading, closes_on, reading.stands_at),
        first_on=told.first_on,
        last_on=closes_on,
        position=told.position,
        after=told.after,
        opening_minor=_minor(told.opening_balance),
        lines=[
            content.StatementLine(
                effective_on=line.effective_on,
                kind=line.kind,
                reference=line.reference,
                detail=line.detail,
                period=_period(line.detail) if line.kind == "invoice_issued" else None,
                amount_minor=_minor(line.amount),
                balance_minor=_minor(line.balance),
                late=line.late,
            )
            for line in told.lines
        ],
        closing_minor=_minor(told.closing_balance),
        aging=[*_buckets(told)],
        disputed_minor=_minor(told.aging.disputed),
    )


def biller(region: Region, on: date) -> content.Biller:
    """Who sends a document of a day: the region as it is headed on that day."""
    contact = region.contact_on(on)
    return content.Biller(
        region=region.code,
        zone=region.zone,
        company=contact.company,
        email=contact.email,
        phone=contact.phone,
        address=contact.address,
    )


async def _customer(reading: Reading, on: date, position: int) -> content.Customer:
    """Whose the account is, with the settings in force on a day as known at a position."""
    [owner] = await reading.named(_LISTS["identity"], day=LAST_OF_DAYS, position=position)
    day = max(on, owner["opened_on"])
    [chosen] = await reading.named(_LISTS["settings"], day=day, position=position)
    return content.Customer(
        account_number=owner["account_number"],
        client_id=owner["client_id"],
        company=owner["company"],
        country=owner["country"],
        currency=owner["currency"],
        invoice_delivery=chosen["invoice_delivery"],
        payment_method=chosen["payment_method"],
        language=chosen["language"],
        terms=msgspec.convert(chosen["terms"], Terms),
    )


async def _lines(reading: Reading, number: str, invoice: Row) -> list[content.Line]:
    """Every line that the invoice took; one of an earlier period says of which."""
    rows = await reading.named(
        _SQL["lines"],
        number=number,
        day=LAST_OF_DAYS,
        position=invoice["position"],
        limit=LINES_MAX + 1,
    )
    is_earlier = [row["late"] or row["effective_on"] < invoice["period_start"] for row in rows]
    periods: Sequence[tuple[date, date]] = ()
    if any(is_earlier):
        first_on = min(row["effective_on"] for row in rows)
        periods = await reading.rows(
            _SQL["periods"], first_on=first_on, position=invoice["position"]
        )

    def made() -> list[content.Line]:
        return [
            _line(row, _belongs_to(row["effective_on"], periods) if earlier else None)
            for row, earlier in zip(rows, is_earlier, strict=True)
        ]

    # Of many, in a thread: whoever else is served has turns meanwhile.
    return made() if len(rows) <= QUICK_LINES else await asyncio.to_thread(made)


def _line(row: Row, belongs_to: tuple[date, date] | None) -> content.Line:
    sign = -1 if row["kind"] == "credit" else 1
    line = content.Line(
        effective_on=row["effective_on"],
        description=row["description"],
        category=row["category"] if row["kind"] == "charge" else None,
        quantity=row["quantity"],
        unit_price=row["unit_price"],
        amount_minor=sign * row["amount_minor"],
        taxes=[
            content.TaxLine(
                name=tax["name"], rate=tax["rate"], amount_minor=sign * tax["amount_minor"]
            )
            for tax in row["taxes"]
        ],
        belongs_to=belongs_to,
    )
    tax_minor = sum(tax.amount_minor for tax in line.taxes)
    assert row["total_minor"] == line.amount_minor + tax_minor, row
    return line


def _belongs_to(on: date, periods: Sequence[tuple[date, date]]) -> tuple[date, date]:
    """The period that had been billed through that day first; its month where none had."""
    for first_on, last_on in periods:
        if on <= last_on:
            return min(first_on, on), last_on
    return on.replace(day=1), month_end(on)


def _taxes(totals: Sequence[Row], lines: Sequence[content.Line] | None) -> list[content.TaxAmount]:
    """The taxes by name and rate with what each was raised on, as far as the lines were read."""
    if lines is not None:
        for is_by_rate in (True, False):
            found = _summed(lines, is_by_rate=is_by_rate)
            if len(found) <= TAXES_MAX:
                return found
    return [
        content.TaxAmount(
            name=tax["name"], rate=None, base_minor=None, amount_minor=tax["amount_minor"]
        )
        for tax in totals
    ]


def _summed(lines: Sequence[content.Line], *, is_by_rate: bool) -> list[content.TaxAmount]:
    sums = defaultdict[tuple[str, str | None], list[int]](lambda: [0, 0])
    for line in lines:
        taxes = [(tax.name, _plain(tax.rate) if is_by_rate else None) for tax in line.taxes]
        for name_and_rate in set(taxes):  # once, though a line may have a tax twice
            sums[name_and_rate][0] += line.amount_minor
        for name_and_rate, tax in zip(taxes, line.taxes, strict=True):
            sums[name_and_rate][1] += tax.amount_minor
    return [
        content.TaxAmount(name=name, rate=rate, base_minor=base, amount_minor=amount)
        for (name, rate), (base, amount) in sorted(
            sums.items(), key=lambda item: (item[0][0], item[0][1] or "")
        )
    ]


def _plain(rate: str) -> str:
    """The rate as all that equal it are written: 0.20 is 0.2."""
    found = _DECIMAL.fullmatch(rate)
    return found[1] if found else rate


def _applied(source: str, amount_minor: int, on: date) -> content.Applied:
    kind, _, reference = source.partition(":")
    return msgspec.convert(
        {"kind": kind, "reference": reference, "on": on, "amount_minor": amount_minor},
        content.Applied,
    )


def _assert_adds_up(invoice: content.Invoice) -> None:
    """No invoice leaves the house whose lines, taxes and totals are not the same money."""
    charged = invoice.charges_minor - invoice.credits_minor + invoice.tax_minor
    if invoice.kind == "invoice":
        assert invoice.total_minor == charged + invoice.carried_minor, invoice.number
        assert invoice.charges_minor == sum(one.amount_minor for one in invoice.categories)
        assert invoice.tax_minor == sum(tax.amount_minor for tax in invoice.taxes), invoice.number
    if invoice.lines is not None:
        amounts = [line.amount_minor for line in invoice.lines]
        assert len(amounts) == invoice.lines_count, invoice.number
        assert sum(amounts) == invoice.charges_minor - invoice.credits_minor, invoice.number
    assert 0 <= invoice.due_minor <= invoice.total_minor, invoice.number


def _buckets(told: Statement) -> Iterator[content.Bucket]:
    for name in ("current", "d1_30", "d31_60", "d61_90", "d91"):
        yield content.Bucket(name=name, amount_minor=_minor(getattr(told.aging, name)))


def _period(detail: str | None) -> tuple[date, date] | None:
    """The period of an invoice, as a line of a statement has it."""
    first_on, _, last_on = (detail or "").partition("/")
    return (date.fromisoformat(first_on), date.fromisoformat(last_on)) if last_on else None


def _minor(amount: Money) -> int:
    """The minor units of an amount, which is shown with all of its currency's decimals."""
    return int(amount.amount.replace(".", ""))
