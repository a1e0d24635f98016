"""A book of receivables as a CSV file: customers' invoices, when they were due, disputed, settled.

Each line becomes a charge, its own invoice and, once settled, a processed payment of it; a disputed
line a dispute of the whole from its first day, rejected on the day of settlement. A customer is an
account; from the day after its PaperlessDate it gets its bills electronically.
"""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import BinaryIO

import msgspec

from ledger import commands as c
from ledger.calendar import Net
from ledger.import_steps import Step
from ledger.importing import Finding, numbered_lines
from ledger.parts import SettingsChange
from ledger.receivables_line import COLUMNS, ReceivablesLine, cells, read
from ledger.store.sql import load

TERMS_DAYS_MAX = 366

_ALREADY_OPEN = frozenset({"account_exists", "idempotency_key_reused"})
_CONTENT = ("issued_on", "due_on", "amount_minor", "disputed", "settled_on")


class ReceivablesCsv:
    """A receivables file as a source of steps; amounts are in the region's currency.

    `currency_of` gives the currency of an account that exists, else None: a customer that is kept
    in another one is bad. Identifiers of charges, payments and disputes are the invoice's number.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        currency: str,
        today: date,
        actor: str,
        currency_of: Callable[[str], str | None] = lambda account: None,
    ) -> None:
        self.lines = 0
        self.steps_total = 0
        self.resumed = 0
        self._file = file
        self._currency = currency
        self._today = today
        self._actor = actor
        self._currency_of = currency_of
        self._sql = {n: s.decode() for n, s in load("ledger", "receivables_csv.sql").items()}
        self._staged = sqlite3.connect("")  # an anonymous file, which goes with the connection
        self._staged.row_factory = sqlite3.Row
        self._staged.execute(self._sql["create_customer"])
        self._staged.execute(self._sql["create_invoice"])

    def check(self) -> Iterator[Finding | None]:
        """What is wrong with the lines; afterwards the good ones are staged on disk."""
        self._staged.execute(self._sql["forget_customers"])
        self._staged.execute(self._sql["forget_invoices"])
        self.lines = 0
        header: list[str] | None = None
        for number, line in numbered_lines(self._file):
            if header is not None:
                self.lines += 1
                yield from self._check(number, line, header)
                continue
            header = cells(line) or []
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                yield _bad(number, "missing_column", f"the header lacks {', '.join(missing)}")
                break
        if header is None:
            yield _bad(1, "missing_column", "the file is empty: it needs a header")
        self._staged.commit()
        (self.steps_total,) = self._staged.execute(self._sql["count_steps"]).fetchone()

    def steps(self) -> Iterator[Step]:
        """The staged lines as requests, every account's by day."""
        for row in self._staged.execute(self._sql["steps"]):
            kind = row["kind"]
            command = self._opening(row) if kind == "open" else _COMMANDS[kind](row)
            undo = self._request(row, "undo", _undo(row)) if kind == "invoice" else None
            yield Step(
                line=row["line"],
                request=self._request(row, kind, command),
                fenced=kind == "charge",
                if_refused=undo,
                had=_ALREADY_OPEN if kind == "open" else frozenset(),
            )

    def _check(
        self, number: int, line: bytes | None, header: list[str]
    ) -> Iterator[Finding | None]:
        row = cells(line)
        if row is None:
            yield _bad(number, "unreadable", "the line is not UTF-8, not CSV, or too long")
            return
        if len(row) != len(header):
            says = f"the line has {len(row)} columns, the header {len(header)}"
            yield _bad(number, "wrong_column_count", says)
            return
        named = dict(zip(header, row, strict=True))
        found = read(number, named, currency=self._currency, today=self._today)
        if isinstance(found, ReceivablesLine):
            yield self._stage(found)
        else:
            yield from found

    def _stage(self, read: ReceivablesLine) -> Finding | None:
        """Keeps a line unless it contradicts, or repeats, an earlier one."""
        values = msgspec.to_builtins(read)
        values["terms_days"] = min((read.due_on - read.issued_on).days, TERMS_DAYS_MAX)
        values["switch_on"] = None
        if read.paperless_on is not None:
            values["switch_on"] = (read.paperless_on + timedelta(days=1)).isoformat()
        customer = self._staged.execute(self._sql["find_customer"], values).fetchone()
        if customer is None:
            kept_in = self._currency_of(read.account)
            if kept_in not in (None, self._currency):
                says = f"account {read.account} is kept in {kept_in}, not {self._currency}"
                return _bad(read.line, "currency_mismatch", says)
        elif any(customer[name] != values[name] for name in ("country", "paperless_on")):
            says = (
                f"customer {read.account} has another countryCode or PaperlessDate "
                f"on line {customer['line']}"
            )
            return _bad(read.line, "customer_differs", says)
        if self._staged.execute(self._sql["add_invoice"], values).rowcount:
            self._staged.execute(self._sql["add_customer"], values)
            return None
        kept = self._staged.execute(self._sql["find_invoice"], values).fetchone()
        if all(kept[name] == values[name] for name in _CONTENT):
            says = f"the same as line {kept['line']}, taken once"
            return Finding(line=read.line, code="repeated_line", message=says, repeated=True)
        says = f"invoice {read.number} of {read.account} differs on line {kept['line']}"
        return _bad(read.line, "duplicate_invoice", says)

    def _request(self, row: sqlite3.Row, kind: str, command: c.AnyCommand) -> c.Request:
        return c.Request(
            account_number=row["account"],
            key=f"receivables:{kind}:{row['number'] or row['day']}",
            command=command,
            actor=self._actor,
            today=self._today,
        )

    def _opening(self, row: sqlite3.Row) -> c.OpenAccount:
        return c.OpenAccount(
            company=row["account"],
            country=row["country"],
            currency=self._currency,
            terms=Net(row["terms_days"]),
            opened_on=date.fromisoformat(row["day"]),
        )


def _bad(line: int, code: str, message: str) -> Finding:
    return Finding(line=line, code=code, message=message)


def _switch(row: sqlite3.Row) -> c.ChangeSettings:
    return c.ChangeSettings(
        changes=SettingsChange(delivery_channel="electronic"),
        effective_on=date.fromisoformat(row["day"]),
    )


def _charge(row: sqlite3.Row) -> c.PostCharge:
    return c.PostCharge(
        charge_id=row["number"],
        amount_minor=row["amount_minor"],
        description=f"Invoice {row['number']}",
        category="imported",
        effective_on=date.fromisoformat(row["day"]),
    )


def _invoice(row: sqlite3.Row) -> c.IssueInvoice:
    issued_on = date.fromisoformat(row["day"])
    return c.IssueInvoice(
        number=row["number"],
        period_end=issued_on,
        issued_on=issued_on,
        due_on=date.fromisoformat(row["due_on"]),
    )


def _undo(row: sqlite3.Row) -> c.ReverseCharge:
    """A refused invoice takes its charge back, or the next line's invoice would bill it."""
    return c.ReverseCharge(
        charge_id=row["number"],
        reason="its invoice was refused",
        effective_on=date.fromisoformat(row["day"]),
    )


def _dispute(row: sqlite3.Row) -> c.OpenDispute:
    return c.OpenDispute(
        dispute_id=row["number"],
        invoice=row["number"],
        reason="disputed in the imported book",
        effective_on=date.fromisoformat(row["day"]),
    )


def _resolve(row: sqlite3.Row) -> c.ResolveDispute:
    return c.ResolveDispute(
        dispute_id=row["number"],
        outcome="rejected",
        effective_on=date.fromisoformat(row["day"]),
    )


def _pay(row: sqlite3.Row) -> c.SubmitPayment:
    return c.SubmitPayment(
        payment_id=row["number"],
        pay="amount",
        amount_minor=row["amount_minor"],
        invoice=row["number"],
        method="cash_check",
        effective_on=date.fromisoformat(row["day"]),
        status="processed",
    )


_COMMANDS: dict[str, Callable[[sqlite3.Row], c.AnyCommand]] = {
    "switch": _switch,
    "charge": _charge,
    "invoice": _invoice,
    "dispute": _dispute,
    "resolve": _resolve,
    "pay": _pay,
}
