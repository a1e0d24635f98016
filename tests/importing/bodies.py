"""Bodies of commands: what each becomes when it is right, and where it is wrong when it is not."""

from datetime import date

from ledger import commands as c
from ledger.calendar import DayOfMonth, EndOfMonth, Net
from ledger.parts import Settings, SettingsChange, Tax

DAY = date(2020, 7, 1)
ON = {"effective_on": "2020-07-01"}
OPENING = {
    "company": "Example Conferencing Inc.",
    "country": "USA",
    "terms": {"kind": "net", "days": 30},
}
CHARGE = {"charge_id": "C-1", "amount": "61.11", "description": "calls", "category": "voice"}

GOOD: list[tuple[str, dict[str, object], c.Command]] = [
    (
        "open_account",
        {
            **OPENING, "client_id": "EX", "currency": "USD", "billing_cycle": 31,
            "settings": {"delivery_channel": "electronic", "language": "pt-BR"},
            "opened_on": "2020-07-01",
        },
        c.OpenAccount(
            client_id="EX", company="Example Conferencing Inc.", country="USA", currency="USD",
            billing_cycle=31, terms=Net(30), opened_on=DAY,
            settings=Settings(delivery_channel="electronic", language="pt-BR"),
        ),
    ),
    (
        "change_settings",
        {"payment_method": "card", "terms": {"kind": "end_of_month", "days": 15}, **ON},
        c.ChangeSettings(
            changes=SettingsChange(payment_method="card", terms=EndOfMonth(15)), effective_on=DAY
        ),
    ),
    (
        "change_settings",
        {"terms": {"kind": "day_of_month", "day": 15, "cutoff": 20}, "billing_cycle": "month_end"},
        c.ChangeSettings(changes=SettingsChange(terms=DayOfMonth(15, 20), billing_cycle="month_end")),
    ),
    (
        "post_charge",
        {
            **CHARGE, **ON, "quantity": "459", "unit_price": "0.123456789012",
            "taxes": [{"name": "VAT", "rate": "0.2", "amount": "12.22"}],
        },
        c.PostCharge(
            charge_id="C-1", amount_minor=6111, description="calls", category="voice",
            effective_on=DAY, quantity="459", unit_price="0.123456789012",
            taxes=(Tax("VAT", "0.2", 1222),),
        ),
    ),
    ("reverse_charge", {"charge_id": "C-1"}, c.ReverseCharge(charge_id="C-1")),
    (
        "issue_credit",
        {"credit_id": "K", "amount": "1", "applies_to": "invoice", "invoice": "I", "reason": "r"},
        c.IssueCredit(
            credit_id="K", amount_minor=100, applies_to="invoice", invoice="I", reason="r"
        ),
    ),
    ("reverse_credit", {"credit_id": "K", "reason": "r"}, c.ReverseCredit(credit_id="K", reason="r")),
    (
        "submit_payment",
        {
            "payment_id": "P", "pay": "amount", "amount": {"amount": "5.00", "currency": "USD"},
            "method": "card", "status": "processed", "reference": "Ærø",
        },
        c.SubmitPayment(
            payment_id="P", pay="amount", amount_minor=500, method="card", status="processed",
            reference="Ærø",
        ),
    ),
    ("process_payment", {"payment_id": "P", "amount": "4"}, c.ProcessPayment(payment_id="P", amount_minor=400)),
    ("fail_payment", {"payment_id": "P", "reason": "r"}, c.FailPayment(payment_id="P", reason="r")),
    ("return_payment", {"payment_id": "P", "reason": "r"}, c.ReturnPayment(payment_id="P", reason="r")),
    ("reinstate_payment", {"payment_id": "P"}, c.ReinstatePayment(payment_id="P")),
    ("unprocess_payment", {"payment_id": "P"}, c.UnprocessPayment(payment_id="P")),
    (
        "reallocate_payment",
        {"payment_id": "P", "targets": [{"invoice": "I", "amount": "0.01"}]},
        c.ReallocatePayment(payment_id="P", targets=(c.Target("I", 1),)),
    ),
    (
        "issue_refund",
        {"refund_id": "R", "amount": "2.50", "method": "bank_transfer", "reason": "r"},
        c.IssueRefund(refund_id="R", amount_minor=250, method="bank_transfer", reason="r"),
    ),
    ("reverse_refund", {"refund_id": "R"}, c.ReverseRefund(refund_id="R")),
    (
        "write_off_invoice",
        {"write_off_id": "W", "invoice": "I", "reason": "r"},
        c.WriteOffInvoice(write_off_id="W", invoice="I", reason="r"),
    ),
    ("reverse_write_off", {"write_off_id": "W"}, c.ReverseWriteOff(write_off_id="W")),
    (
        "open_dispute",
        {"dispute_id": "D", "invoice": "I", "reason": "r", "amount": None},
        c.OpenDispute(dispute_id="D", invoice="I", reason="r"),
    ),
    (
        "resolve_dispute",
        {"dispute_id": "D", "outcome": "upheld"},
        c.ResolveDispute(dispute_id="D", outcome="upheld"),
    ),
    (
        "issue_invoice",
        {"period_end": "2020-06-30", "number": "I", "issued_on": "2020-07-01", "due_on": "2020-07-30"},
        c.IssueInvoice(
            period_end=date(2020, 6, 30), number="I", issued_on=DAY, due_on=date(2020, 7, 30)
        ),
    ),
    ("cancel_invoice", {"number": "I"}, c.CancelInvoice(number="I")),
    (
        "post_message",
        {"message_id": "M", "text": "two\r\nlines"},
        c.PostMessage(message_id="M", text="two\nlines"),
    ),
    ("close_account", {"final_bill": True}, c.CloseAccount(final_bill=True)),
]  # fmt: skip

BAD: list[tuple[dict[str, object], str, str]] = [
    ({"amount": "١٢.50"}, "/data/amount", "invalid_amount"),
    ({"amount": "1_000"}, "/data/amount", "invalid_amount"),
    ({"amount": "1e3"}, "/data/amount", "invalid_amount"),
    ({"amount": "1.001"}, "/data/amount", "invalid_amount"),
    ({"amount": "-1"}, "/data/amount", "invalid_amount"),
    ({"amount": "01"}, "/data/amount", "invalid_amount"),
    ({"amount": "1\n"}, "/data/amount", "invalid_amount"),
    ({"amount": 12.5}, "/data/amount", "invalid_amount"),
    ({"amount": True}, "/data/amount", "invalid_amount"),
    ({"amount": {"amount": "1", "currency": "EUR"}}, "/data/amount/currency", "currency_mismatch"),
    ({"amount": {"amount": "1", "currency": "XXX"}}, "/data/amount/currency", "unknown_currency"),
    ({"amount": {"amount": 1, "currency": "USD"}}, "/data/amount/amount", "invalid_type"),
    ({"amount": {"amount": "1"}}, "/data/amount/currency", "missing_field"),
    ({"amount": None}, "/data/amount", "missing_field"),
    ({"charge_id": "a b"}, "/data/charge_id", "invalid_id"),
    ({"charge_id": "a\n"}, "/data/charge_id", "invalid_id"),
    ({"charge_id": "x" * 65}, "/data/charge_id", "invalid_id"),
    ({"charge_id": 7}, "/data/charge_id", "invalid_type"),
    ({"description": "a\x00b"}, "/data/description", "invalid_text"),
    ({"description": "a\x85b"}, "/data/description", "invalid_text"),
    ({"description": "a\nb"}, "/data/description", "invalid_text"),
    ({"description": "x" * 501}, "/data/description", "too_long"),
    ({"description": "  "}, "/data/description", "invalid_text"),
    ({"category": ["voice"]}, "/data/category", "invalid_type"),
    ({"effective_on": "2020-02-30"}, "/data/effective_on", "invalid_date"),
    ({"effective_on": "20200228"}, "/data/effective_on", "invalid_date"),
    ({"effective_on": "2020-W01-1"}, "/data/effective_on", "invalid_date"),
    ({"effective_on": "0001-01-01"}, "/data/effective_on", "invalid_date"),
    ({"effective_on": 20200101}, "/data/effective_on", "invalid_date"),
    ({"quantity": "0.1234567890123"}, "/data/quantity", "invalid_decimal"),
    ({"quantity": 3}, "/data/quantity", "invalid_type"),
    ({"taxes": {"name": "VAT"}}, "/data/taxes", "invalid_type"),
    ({"taxes": [{"name": "VAT"}]}, "/data/taxes/0/amount", "missing_field"),
    ({"taxes": [{"name": "VAT", "amount": "-1"}]}, "/data/taxes/0/amount", "invalid_amount"),
    ({"taxes": [{"name": "VAT", "amount": "1"}] * 17}, "/data/taxes", "too_many"),
    ({"bogus/~": 1}, "/data/bogus~1~0", "unknown_field"),
]
