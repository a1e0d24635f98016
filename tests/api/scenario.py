"""An account's story, in which every operation about accounts is asked once for the examples."""

from typing import Any

from tests.api.asking import Ask
from tests.api.books import PASSWORD

FINANCE, CUSTOMER, AUDITOR, SUPPORT = "finance", "customer", "auditor", "support"
ACCOUNT = "HARBOUR-1"
LEAVING = "HARBOUR-2"
AS_OF = {"effective_on": "2020-06-30"}


def _command(operation: str, body: Any = None, *, shown: bool = True, **places: str) -> Ask:
    """A command on the account, by finance; its key is its own name and what it is about."""
    about = [str(value) for name, value in (body or {}).items() if name.endswith("_id")]
    key = "-".join([operation, *places.values(), *about, str((body or {}).get("period_end", ""))])
    return Ask(
        operation,
        places={"account_number": ACCOUNT, **places},
        headers={"Idempotency-Key": key.rstrip("-")},
        body=body,
        shown=shown,
    )


def _charge(id: str, amount: str, on: str, description: str, *, shown: bool = False) -> Ask:
    body = {
        "charge_id": id,
        "amount": amount,
        "taxes": [{"name": "VAT", "rate": "0.2", "amount": f"{float(amount) / 5:.2f}"}],
        "description": description,
        "category": "usage",
        "effective_on": on,
    }
    return _command("post_charge", body, shown=shown)


def _bill(period_end: str, *, shown: bool = False) -> Ask:
    body = {"period_end": period_end, "issued_on": period_end}
    return _command("issue_invoice", body, shown=shown)


def _pay(id: str, on: str, *, asker: str = FINANCE, shown: bool = False, **more: str) -> Ask:
    body = {"payment_id": id, **more, "method": "card", "effective_on": on}
    asked = _command("submit_payment", body, shown=shown)
    return Ask(asked.operation, asker, asked.places, {}, asked.headers, body, shown)


def _opening(number: str, *, shown: bool) -> Ask:
    body = {
        "account_number": number,
        "client_id": "HARBOUR",
        "company": "Harbour Lights Ltd",
        "country": "USA",
        "billing_cycle": "month_end",
        "terms": {"kind": "net", "days": 30},
        "settings": {"invoice_delivery": "full_detail", "payment_method": "cash_check"},
        "opened_on": "2020-01-01",
    }
    headers = {"Idempotency-Key": f"open-{number}"}
    return Ask("open_account", headers=headers, body=body, shown=shown)


_JANUARY, _FEBRUARY, _MARCH = (f"{ACCOUNT}-2020-0{month}-1" for month in (1, 2, 3))

BILLING = (
    _opening(ACCOUNT, shown=True),
    _charge("c-1", "100.00", "2020-01-20", "Calls in January", shown=True),
    _charge("c-2", "15.00", "2020-01-21", "Calls of somebody else"),
    _command(
        "reverse_charge",
        {"reason": "another customer's", "effective_on": "2020-01-22"},
        charge_id="c-2",
    ),
    _bill("2020-01-31", shown=True),
    _charge("c-3", "50.00", "2020-02-15", "Calls in February"),
    _bill("2020-02-29"),
    _charge("c-4", "10.00", "2020-03-05", "Calls in March"),
    _bill("2020-03-31"),
)
PAYING = (
    _pay(
        *("p-1", "2020-02-10"),
        asker=CUSTOMER,
        shown=True,
        pay="invoice",
        invoice=_JANUARY,
        reference="our order 4711",
    ),
    _command("process_payment", {"effective_on": "2020-02-12"}, payment_id="p-1"),
    _command(
        "return_payment", {"reason": "no funds", "effective_on": "2020-02-14"}, payment_id="p-1"
    ),
    _command("reinstate_payment", {"effective_on": "2020-02-18"}, payment_id="p-1"),
    _pay("p-2", "2020-03-01", pay="amount", amount="40.00", status="processed"),
    _command(
        "reallocate_payment",
        {"targets": [{"invoice": _FEBRUARY, "amount": "30.00"}], "effective_on": "2020-03-02"},
        payment_id="p-2",
    ),
    _command(
        "issue_refund",
        {
            "refund_id": "r-1",
            "amount": "10.00",
            "payment_id": "p-2",
            "method": "card",
            "reason": "paid too much",
            "effective_on": "2020-03-03",
        },
    ),
    _command(
        "reverse_refund",
        {"reason": "the card is closed", "effective_on": "2020-03-06"},
        refund_id="r-1",
    ),
    _pay("p-3", "2020-03-08", pay="amount", amount="7.00", status="processed"),
    _command("unprocess_payment", {"effective_on": "2020-03-09"}, payment_id="p-3"),
    _command(
        "fail_payment", {"reason": "never came", "effective_on": "2020-03-10"}, payment_id="p-3"
    ),
)
ADJUSTING = (
    _command(
        "cancel_invoice",
        {"reason": "billed too early", "effective_on": "2020-04-02"},
        number=_MARCH,
    ),
    _command(
        "issue_credit",
        {
            "credit_id": "k-1",
            "amount": "5.00",
            "applies_to": "invoice",
            "invoice": _JANUARY,
            "reason": "goodwill",
            "effective_on": "2020-04-05",
        },
    ),
    _command(
        "reverse_credit", {"reason": "given twice", "effective_on": "2020-04-06"}, credit_id="k-1"
    ),
    _command(
        "open_dispute",
        {
            "dispute_id": "d-1",
            "invoice": _FEBRUARY,
            "amount": "20.00",
            "reason": "calls not made",
            "effective_on": "2020-04-10",
        },
    ),
    _command(
        "resolve_dispute",
        {"outcome": "upheld", "amount": "12.00", "effective_on": "2020-04-20"},
        dispute_id="d-1",
    ),
    _command(
        "write_off_invoice",
        {
            "write_off_id": "w-1",
            "invoice": _FEBRUARY,
            "amount": "3.00",
            "reason": "too little to ask for",
            "effective_on": "2020-04-25",
        },
    ),
    _command("reverse_write_off", {"effective_on": "2020-04-26"}, write_off_id="w-1"),
)
OTHERWISE = (
    Ask(
        "change_settings",
        CUSTOMER,
        places={"account_number": ACCOUNT},
        headers={"Idempotency-Key": "card-from-april", "If-Match": '"1"'},
        body={"payment_method": "card", "effective_on": "2020-04-01"},
    ),
    Ask(
        "post_message",
        SUPPORT,
        places={"account_number": ACCOUNT},
        headers={"Idempotency-Key": "welcome"},
        body={"message_id": "m-1", "text": "Your bill is ready.", "effective_on": "2020-02-01"},
    ),
    _opening(LEAVING, shown=False),
    Ask(
        "close_account",
        places={"account_number": LEAVING},
        headers={"Idempotency-Key": "close"},
        body={"reason": "moved away", "effective_on": "2020-02-01"},
    ),
    Ask(
        "bulk_commands",
        body=[
            {
                "key": f"usage-{id}",
                "account": account,
                "type": "post_charge",
                "data": {
                    "charge_id": id,
                    "amount": "2.50",
                    "description": "Calls in April",
                    "category": "usage",
                    "effective_on": "2020-04-03",
                },
            }
            for id, account in (("c-5", ACCOUNT), ("c-6", LEAVING))
        ],
    ),
)


def _read(operation: str, asker: str = CUSTOMER, **places: str) -> Ask:
    return Ask(operation, asker, places={"account_number": ACCOUNT, **places}, query=AS_OF)


READING = (
    _read("get_summary"),
    _read("get_account"),
    _read("get_settings"),
    Ask(
        "get_statement",
        CUSTOMER,
        places={"account_number": ACCOUNT},
        query={"from": "2020-02-01", "to": "2020-02-29", **AS_OF},
    ),
    Ask(
        "get_statement_pdf",
        CUSTOMER,
        places={"account_number": ACCOUNT},
        query={"from": "2020-02-01", "to": "2020-02-29", **AS_OF},
    ),
    Ask("get_invoice_pdf", CUSTOMER, places={"account_number": ACCOUNT, "number": _JANUARY}),
    _read("list_activity"),
    *(
        _read(f"list_{kind}")
        for kind in (
            *("charges", "invoices", "payments", "credits", "refunds", "write_offs", "disputes"),
            "messages",
        )
    ),
    _read("get_charge", charge_id="c-1"),
    _read("get_invoice", number=_JANUARY),
    _read("get_payment", payment_id="p-1"),
    _read("get_credit", credit_id="k-1"),
    _read("get_refund", refund_id="r-1"),
    _read("get_write_off", write_off_id="w-1"),
    _read("get_dispute", dispute_id="d-1"),
    _read("get_message", message_id="m-1"),
    Ask(
        "list_account_events",
        AUDITOR,
        places={"account_number": ACCOUNT},
        query={"type": "payment_submitted", "limit": "2", **AS_OF},
    ),
    Ask(
        "explain_figure",
        CUSTOMER,
        places={"account_number": ACCOUNT, "figure": "balance"},
        query={"limit": "3", **AS_OF},
    ),
    Ask("list_accounts", SUPPORT, query={"q": "harb", "limit": "10"}),
    Ask("get_trial_balance", AUDITOR, query={"from": "2020-02-01", **AS_OF}),
    Ask(
        "list_journal",
        AUDITOR,
        query={"account": "accounts_receivable", "limit": "2", "from": "2020-02-01", **AS_OF},
    ),
    *(
        Ask(f"export_{form}", AUDITOR, query={"period": "2020-01"})
        for form in ("beancount", "hledger", "csv", "parquet")
    ),
    Ask("get_reconciliation", AUDITOR),
    Ask("list_events", AUDITOR, query={"limit": "2"}),
    Ask("stream_events", AUDITOR),
)
BOOKS = (
    Ask("get_aging", query={"effective_on": "2020-04-15", "limit": "2"}),
    Ask("list_receivables", AUDITOR, query={"status": "owing", "effective_on": "2020-04-15"}),
)
PUBLIC = (
    Ask(
        "sign_in",
        None,
        body={"region": "us", "identifier": ACCOUNT, "password": PASSWORD},
    ),
    Ask("list_regions", None),
    Ask("get_health", None),
    Ask("get_readiness", None),
    Ask("get_openapi", None, cut=("openapi", "info")),
)
CLOSING = (
    Ask("close_month", query={"dry_run": "true"}, body={"period": "2020-04"}, shown=False),
    Ask("close_month", body={"period": "2020-04", "issued_on": "2020-05-02"}),
    Ask("get_month_end", places={"period": "2020-04"}, until=("state", "finished")),
    Ask("close_books", places={"period": "2020-04"}),
    Ask("get_closed_books", AUDITOR, places={"period": "2020-04"}, until=("state", "closed")),
    Ask("list_month_ends", query={"limit": "10"}),
)
LATE = (Ask("dun", query={"dry_run": "true"}, body={"on": "2020-06-30"}),)
ASKS = (
    *(*BILLING, *PAYING, *ADJUSTING, *OTHERWISE, *READING, *BOOKS, *PUBLIC),
    *(*CLOSING, *LATE),
)
ASKS = (*BILLING, *PAYING, *ADJUSTING, *OTHERWISE, *READING, *BOOKS, *PUBLIC, *CLOSING, *LATE)
