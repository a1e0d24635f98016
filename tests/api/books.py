"""A small book in two regions, and who may see what of it."""

from contextlib import closing
from datetime import date

from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES, Role
from api.wiring import Database
from ledger import commands as c
from ledger.book import Book
from ledger.calendar import Net
from ledger.store.outcomes import Accepted

PASSWORD = "correct horse battery"
STAFF: tuple[Role, ...] = ("support", "finance", "auditor", "admin")
TOKENS = {"us": "us." + "u" * 43, "emea": "emea." + "e" * 43}
WITHOUT_SCOPES = "us." + "n" * 43

_OPENING = c.OpenAccount(
    client_id="ACME",
    company="Example Traders",
    country="USA",
    currency="USD",
    terms=Net(days=30),
    opened_on=date(2020, 1, 1),
)


def _charge(id: str, on: date, amount_minor: int) -> c.PostCharge:
    return c.PostCharge(
        charge_id=id,
        amount_minor=amount_minor,
        description="Calls",
        category="voice",
        effective_on=on,
    )


def payment(id: str, on: date, amount_minor: int, invoice: str | None = None) -> c.SubmitPayment:
    return c.SubmitPayment(
        payment_id=id,
        pay="amount",
        amount_minor=amount_minor,
        invoice=invoice,
        method="card",
        effective_on=on,
        status="processed",
    )


def _invoice(number: str, on: date) -> c.IssueInvoice:
    return c.IssueInvoice(number=number, period_end=on, issued_on=on)


COMMANDS: tuple[c.AnyCommand, ...] = (
    _OPENING,
    _charge("c-1", date(2020, 1, 10), 100_00),
    _invoice("i-1", date(2020, 1, 31)),
    _charge("c-2", date(2020, 2, 10), 50_05),
    _invoice("i-2", date(2020, 2, 29)),
    payment("p-1", date(2020, 3, 1), 30_00, "i-1"),
    c.OpenDispute(
        dispute_id="d-1",
        invoice="i-2",
        amount_minor=20_00,
        reason="not ours",
        effective_on=date(2020, 3, 2),
    ),
    _charge("c-3", date(2020, 3, 5), 7_77),
    c.SubmitPayment(
        payment_id="p-2",
        pay="amount",
        amount_minor=5_00,
        method="cash_check",
        effective_on=date(2020, 3, 6),
    ),
    c.PostMessage(message_id="m-1", text="Welcome", effective_on=date(2020, 3, 6)),
)
"""What happens to account A-1 of region us: every figure of its summary is not zero."""


def requests(account: str, today: date, commands: tuple[c.AnyCommand, ...]) -> list[c.Request]:
    """The commands for an account, each with a key of its own."""
    return [
        c.Request(account_number=account, key=f"k-{n}", command=one, actor="test", today=today)
        for n, one in enumerate(commands)
    ]


def fill(database: Database) -> Book:
    """The region's accounts and logins exist and are in the views; account A-1 in memory."""
    region = database.region
    asked = requests("A-1", database.today(), COMMANDS if region.code == "us" else COMMANDS[:3])
    others = requests("B-1", database.today(), COMMANDS[:2])
    with closing(database.ledger()) as ledger:
        for outcome in ledger.handle_now([*asked, *others]):
            assert isinstance(outcome, Accepted), outcome
    database.catch_up(30)
    with Registrar(region.code, database.service_url) as registrar:
        for role in STAFF:
            registrar.create(
                NewLogin(role=role, password=PASSWORD, client_id=role, must_change_password=False)
            )
        for number in ("A-1", "B-1"):
            registrar.create(
                NewLogin(
                    role="customer",
                    password=PASSWORD,
                    account_numbers=(number,),
                    must_change_password=False,
                )
            )
        registrar.issue_token(TOKENS[region.code], "all", SCOPES)
        if region.code == "us":
            registrar.issue_token(WITHOUT_SCOPES, "none", [])
    book = Book()
    for request in asked:
        book.handle(request)
    return book
