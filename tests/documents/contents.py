"""What documents say, made up: an invoice and a statement that a test changes where it matters."""

import io
from datetime import date, timedelta
from typing import Any

import msgspec
import pypdf

from api.documents import content
from ledger.calendar import Net

BILLER = content.Biller(
    region="us",
    zone="America/New_York",
    company="Example Conferencing Inc.",
    email="billing@example.com",
    phone="+1 555 0100",
    address="1 Example Street\nNew York, NY 10001",
)
CUSTOMER = content.Customer(
    account_number="HARBOUR-1",
    client_id="HARBOUR",
    company="Harbour Lights Ltd",
    country="USA",
    currency="USD",
    invoice_delivery="full_detail",
    payment_method="cash_check",
    language="en",
    terms=Net(30),
)
ISSUED_ON = date(2020, 7, 31)
JULY = (date(2020, 7, 1), ISSUED_ON)


def line(n: int = 0, amount_minor: int = 10_00, **more: Any) -> content.Line:
    """A charge on a day in July, with a tax of a tenth."""
    return content.Line(
        **{
            "effective_on": JULY[0] + timedelta(days=n % 31),
            "description": f"Conference call {n}",
            "category": "usage",
            "quantity": "4",
            "unit_price": "2.5",
            "amount_minor": amount_minor,
            "taxes": [content.TaxLine(name="VAT", rate="0.1", amount_minor=amount_minor // 10)],
            **more,
        }
    )


def customer(**more: Any) -> content.Customer:
    return msgspec.structs.replace(CUSTOMER, **more)


def invoice(lines: list[content.Line] | None = None, **more: Any) -> content.Invoice:
    """An invoice of these lines, of one unless given, that adds up."""
    lines = [line()] if lines is None else lines
    charges = sum(one.amount_minor for one in lines if one.category)
    credits = -sum(one.amount_minor for one in lines if not one.category)
    tax = sum(tax.amount_minor for one in lines for tax in one.taxes)
    made = content.Invoice(
        biller=BILLER,
        customer=CUSTOMER,
        kind="invoice",
        number="HARBOUR-1-2020-07-1",
        period=JULY,
        issued_on=ISSUED_ON,
        due_on=ISSUED_ON + timedelta(days=30),
        lines_count=len(lines),
        lines=lines,
        categories=[content.CategoryAmount(category="usage", amount_minor=charges)],
        taxes=[
            content.TaxAmount(
                name="VAT", rate="0.1", base_minor=charges - credits, amount_minor=tax
            )
        ],
        charges_minor=charges,
        credits_minor=credits,
        tax_minor=tax,
        carried_minor=0,
        total_minor=charges - credits + tax,
        applied=[],
    )
    return msgspec.structs.replace(made, **more)


def statement(lines: int = 2, **more: Any) -> content.Statement:
    """A statement on which an amount is owed, and every line takes a dollar off it."""
    opening = 500_00
    made = content.Statement(
        biller=BILLER,
        customer=CUSTOMER,
        first_on=JULY[0],
        last_on=JULY[1],
        position="17-4711",
        opening_minor=opening,
        lines=[
            content.StatementLine(
                effective_on=JULY[0],
                kind="payment_processed",
                reference=f"p-{n}",
                detail="card",
                amount_minor=-1_00,
                balance_minor=opening - 1_00 * (n + 1),
            )
            for n in range(lines)
        ],
        closing_minor=opening - 1_00 * lines,
        aging=[
            content.Bucket(name=name, amount_minor=amount)
            for name, amount in (
                ("current", opening - 1_00 * lines),
                *((name, 0) for name in ("d1_30", "d31_60", "d61_90", "d91")),
            )
        ],
        disputed_minor=0,
    )
    return msgspec.structs.replace(made, **more)


def pages_of(pdf: bytes) -> list[str]:
    """What each page says, as whoever copies it gets it."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return [page.extract_text().replace("\u00a0", " ") for page in pages]


def text_of(pdf: bytes) -> str:
    """What a document says."""
    return "\n".join(pages_of(pdf))


def joined(pdf: bytes) -> str:
    """What a document says, without the spaces and line breaks that its layout brings."""
    return "".join(text_of(pdf).split())
