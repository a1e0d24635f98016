"""Requests that use every kind of command once at least, each accepted when sent in this order."""

from datetime import date

from ledger import commands as c
from ledger.calendar import Net
from ledger.parts import SettingsChange

TODAY = date(2020, 7, 15)


def opening(**changes: object) -> c.OpenAccount:
    """Opens an account."""
    fields = {
        "company": "Example Conferencing Inc.",
        "country": "USA",
        "currency": "USD",
        "terms": Net(30),
        "opened_on": date(2020, 1, 1),
    }
    return c.OpenAccount(**{**fields, **changes})  # type: ignore[arg-type] # fields by name


def charge(id: str, amount_minor: int = 1_000) -> c.PostCharge:
    """Charges an amount."""
    return c.PostCharge(
        charge_id=id, amount_minor=amount_minor, description="a call", category="usage"
    )


def payment(id: str, amount_minor: int, invoice: str | None = None) -> c.SubmitPayment:
    """Pays an amount, processed at once."""
    return c.SubmitPayment(
        payment_id=id,
        pay="amount",
        amount_minor=amount_minor,
        invoice=invoice,
        method="card",
        status="processed",
    )


def requests(account_number: str, commands: list[c.AnyCommand]) -> list[c.Request]:
    """The commands as requests of one account, each with its own key."""
    return [
        c.Request(
            account_number=account_number,
            key=f"key-{n}",
            command=command,
            actor="tester",
            today=TODAY,
        )
        for n, command in enumerate(commands)
    ]


def every_command() -> list[c.AnyCommand]:
    """Commands of every kind, in an order in which each is accepted."""
    return [
        opening(),
        c.ChangeSettings(changes=SettingsChange(payment_method="card")),
        charge("c1"),
        charge("c2", 500),
        c.ReverseCharge(charge_id="c2", reason="posted twice"),
        c.IssueInvoice(number="I1"),
        c.SubmitPayment(payment_id="p1", pay="amount", amount_minor=300, method="card"),
        c.ProcessPayment(payment_id="p1"),
        c.ReturnPayment(payment_id="p1", reason="NSF"),
        c.ReinstatePayment(payment_id="p1"),
        c.UnprocessPayment(payment_id="p1"),
        c.FailPayment(payment_id="p1", reason="no such account"),
        payment("p2", 400, "I1"),
        charge("c3", 700),
        c.IssueInvoice(number="I2"),
        c.ReallocatePayment(payment_id="p2", targets=(c.Target("I2", 400),)),
        c.IssueRefund(
            refund_id="r1", amount_minor=100, payment_id="p2", method="card", reason="overpaid"
        ),
        c.ReverseRefund(refund_id="r1", reason="bounced"),
        c.WriteOffInvoice(write_off_id="w1", invoice="I2", reason="bad debt"),
        c.ReverseWriteOff(write_off_id="w1"),
        c.OpenDispute(dispute_id="d1", invoice="I1", reason="not mine"),
        c.ResolveDispute(dispute_id="d1", outcome="rejected"),
        c.IssueCredit(
            credit_id="k1", amount_minor=50, applies_to="invoice", invoice="I1", reason="goodwill"
        ),
        c.ReverseCredit(credit_id="k1"),
        c.PostMessage(message_id="m1", text="Your bill is ready."),
        charge("c4", 90),
        c.IssueInvoice(number="I3"),
        c.CancelInvoice(number="I3", reason="wrong"),
        c.CloseAccount(final_bill=True, reason="moved away"),
    ]
