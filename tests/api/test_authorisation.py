"""Who may do what: every operation against everybody, and the second wall without the first."""

import json
import re
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest

from api.app import operations
from api.entering import place
from api.operations import Operation
from api.security.scope import PERMISSIONS, PUBLIC, READ_ACCOUNT
from api.security.tokens import digest
from api.wiring import Database, Doors
from ledger.store.roles import READER, acting_as
from ledger.store.sql import load
from tests.api.askers import NOBODY, askers
from tests.api.books import PASSWORD
from tests.api.conftest import Deployment
from tests.api.serving import Answer, Service

READERS = {"customer", "support", "finance", "auditor", "service", "service that reads"}
FINANCE = {"finance", "service"}
MAY: dict[str, set[str]] = {
    "public": set(),
    "own session": {"customer", "support", "finance", "auditor", "admin"},
    "own sign-in": {"customer", "support", "finance", "auditor", "admin"},
    "who am I": {
        *("customer", "support", "finance", "auditor", "admin"),
        *("service", "service that reads", "service without scopes"),
    },
    "read account": READERS,
    "pay": {"customer", *FINANCE},
    "change settings": {"customer", *FINANCE},
    "post message": {"support", *FINANCE},
    "adjust account": FINANCE,
    "close month": FINANCE,
    "dun": FINANCE,
    "read books": {"auditor", *FINANCE},
    "read feed": {"auditor", "service"},
    "keep logins and tokens": {"admin"},
}
"""Who each permission lets in, by the roles and scopes of the contract."""
OWN = ("own session", "own sign-in")

OF_PERMISSION = {
    **dict.fromkeys(("submit_payment",), "pay"),
    **dict.fromkeys(("change_settings",), "change settings"),
    **dict.fromkeys(("post_message",), "post message"),
    **dict.fromkeys(
        (
            *("open_account", "post_charge", "reverse_charge", "issue_credit", "reverse_credit"),
            *("process_payment", "fail_payment", "return_payment", "reinstate_payment"),
            *("unprocess_payment", "reallocate_payment", "issue_refund", "reverse_refund"),
            *("write_off_invoice", "reverse_write_off", "open_dispute", "resolve_dispute"),
            *("issue_invoice", "cancel_invoice", "close_account", "bulk_commands"),
        ),
        "adjust account",
    ),
    **dict.fromkeys(
        (
            *("list_accounts", "get_account", "get_summary", "get_settings", "get_statement"),
            *("list_activity", "list_charges", "list_invoices", "list_payments", "list_credits"),
            *("list_refunds", "list_write_offs", "list_disputes", "list_messages"),
            *("get_charge", "get_invoice", "get_payment", "get_credit", "get_refund"),
            *("get_write_off", "get_dispute", "get_message", "list_account_events"),
            "explain_figure",
            *("get_invoice_pdf", "get_statement_pdf"),
        ),
        "read account",
    ),
    **dict.fromkeys(
        (
            *("get_aging", "list_receivables", "get_trial_balance", "list_journal"),
            *("export_beancount", "export_hledger", "export_csv", "export_parquet"),
            *("get_closed_books", "get_month_end", "list_month_ends", "get_reconciliation"),
        ),
        "read books",
    ),
    **dict.fromkeys(("list_events", "stream_events"), "read feed"),
}
"""The permission of each operation, written by hand from the contract's roles."""

BODIES = {
    "open_account": {
        "account_number": "NEW-1",
        "company": "New",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
    },
    "post_charge": {
        "charge_id": "c-new",
        "amount": "1.00",
        "description": "Calls",
        "category": "voice",
    },
    "issue_credit": {
        "credit_id": "k-new",
        "amount": "1.00",
        "applies_to": "account",
        "reason": "goodwill",
    },
    "submit_payment": {"payment_id": "p-new", "pay": "amount", "amount": "1.00", "method": "card"},
    "issue_refund": {"refund_id": "r-new", "amount": "1.00", "method": "card", "reason": "asked"},
    "write_off_invoice": {"write_off_id": "w-new", "invoice": "i-1", "reason": "gone"},
    "open_dispute": {"dispute_id": "d-new", "invoice": "i-1", "reason": "not ours"},
    "change_settings": {"language": "de"},
    "post_message": {"message_id": "m-new", "text": "Hello"},
    "fail_payment": {"reason": "no funds"},
    "return_payment": {"reason": "no funds"},
    "resolve_dispute": {"outcome": "rejected"},
}
IDS = {
    "charge_id": "c-3",
    "credit_id": "none",
    "payment_id": "p-2",
    "refund_id": "none",
    "write_off_id": "none",
    "dispute_id": "d-1",
    "number": "i-1",
    "message_id": "m-1",
    "figure": "balance",
}


@dataclass(frozen=True)
class Door:
    """An operation and how it is knocked at, without changing anything."""

    operation: Operation

    @property
    def is_of_account(self) -> bool:
        return "{account_number}" in self.operation.path

    def ask(self, service: Service, token: str | None, account: str = "A-1") -> Answer:
        operation = self.operation
        path = operation.path.replace("{account_number}", account)
        path = re.sub(r"\{(\w+)\}", lambda found: IDS.get(found[1], "none"), path)
        headers = {"Idempotency-Key": "k", "If-Match": "*"}
        body = None
        if operation.body is not None:
            headers["Content-Type"] = operation.body_type
            body = json.dumps(BODIES.get(operation.name, {})).encode()
            if operation.body_type != "application/json":
                body = b""
        if "dry_run" in operation.parameters:
            path += "?dry_run=true"
        if operation.reply_type == "text/event-stream":
            path += "?after=nowhere"  # who is let in is told so, and not kept listening
        return service.ask(path, token, method=operation.method, headers=headers, body=body)


@pytest.fixture(scope="module")
def everybody(service: Service, us: Database) -> dict[str, str | None]:
    return askers(service, us)


def all_operations(deployment: Deployment) -> list[Operation]:
    return operations(Doors(tuple(deployment.databases.values())))


def test_every_operation_declares_what_the_contract_says(deployment: Deployment) -> None:
    """Each operation has a permission of the one list, and the accounts' are those written here."""
    found = all_operations(deployment)
    assert {o.permission for o in found} <= set(PERMISSIONS)
    named = {o.name: o.permission.name for o in found}
    assert len(named) == len(found)
    of_accounts = {n: p for n, p in named.items() if p in set(OF_PERMISSION.values())}
    assert {n: p for n, p in OF_PERMISSION.items() if n in named} == of_accounts


def test_everybody_at_every_door(
    service: Service, deployment: Deployment, everybody: dict[str, str | None]
) -> None:
    """Nobody's token is a 401, an account of others is as good as none, a role without the right is
    a 403, and who may is let in: at every operation that is not public."""
    wrong = []
    for operation in all_operations(deployment):
        if operation.permission is PUBLIC or operation.permission.name in OWN:
            continue  # their own tests: a sign-out would end the asker
        door = Door(operation)
        for asker, token in everybody.items():
            answer = door.ask(service, token)
            told = _told(answer)
            expected = _expected(door, asker)
            if told != expected:
                wrong.append(f"{operation.name}, {asker}: {told}, not {expected}: {answer.body!r}")
    assert not wrong, "\n".join(wrong)


def _expected(door: Door, asker: str) -> str:
    may = MAY[door.operation.permission.name]
    if asker in NOBODY:
        return "nobody"
    if asker == "elsewhere":
        asker = "customer"  # of an account of that number in their own region
    if asker == "other customer":
        if door.is_of_account:
            return "no account"
        asker = "customer"
    return "let in" if asker in may else "forbidden"


def _told(answer: Answer) -> str:
    if answer.status == 401:
        return "nobody" if answer.code == "unauthenticated" else answer.code
    if answer.status == 403:
        return "forbidden" if answer.code == "forbidden" else answer.code
    if answer.status == 404 and answer.code == "account_unknown":
        return "no account"
    return "let in" if answer.status < 500 else f"status {answer.status}"


def test_another_regions_account_of_the_same_number_is_out_of_reach(
    service: Service, everybody: dict[str, str | None]
) -> None:
    """A customer of A-1 elsewhere sees that region's A-1 and no account that only this one has."""
    own = service.ask("/v1/accounts/A-1", everybody["elsewhere"])
    assert (200, "emea") == (own.status, own.json["region"])
    assert service.ask("/v1/accounts/B-1", everybody["elsewhere"]).code == "account_unknown"


@pytest.mark.parametrize("path", ["", "/summary", "/charges", "/invoices/i-1", "/statement"])
def test_denied_and_absent_look_the_same(
    service: Service, everybody: dict[str, str | None], path: str
) -> None:
    """Another's account and one that does not exist are answered with the same status and body."""
    answers = [
        service.ask(f"/v1/accounts/{number}{path}", everybody["other customer"])
        for number in ("A-1", "NONE-1", "A-1%20", "x" * 100)
    ]
    bodies = [{**answer.json, "correlation_id": ""} for answer in answers]
    assert [404] * 4 == [answer.status for answer in answers]
    assert bodies == [bodies[0]] * 4


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (
            "/payments",
            {"payment_id": "x", "pay": "total", "method": "card", "status": "processed"},
            403,
        ),
        ("/settings", {"terms": {"kind": "net", "days": 366}}, 403),
        ("/settings", {"billing_cycle": 1}, 403),
        ("/settings", {"payment_method": "card"}, 200),
    ],
)
def test_what_a_customer_may_not_decide(
    service: Service, everybody: dict[str, str | None], path: str, body: object, code: int
) -> None:
    """A customer neither says that money came in nor sets terms or cycle; the rest is theirs."""
    answer = service.ask(
        f"/v1/accounts/A-1{path}?dry_run=true",
        everybody["customer"],
        method="PATCH" if path == "/settings" else "POST",
        headers={"Idempotency-Key": "k", "If-Match": "*", "Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    assert code == answer.status, answer


def test_a_wrong_parameter_is_told_to_nobody_else(
    service: Service, everybody: dict[str, str | None]
) -> None:
    """Who may not see an account learns nothing of what is wrong with the request for it."""
    for path in ("/v1/accounts/A-1/charges?limit=x", "/v1/accounts/A-1/statement?from=2020-01"):
        assert service.ask(path, everybody["customer"]).code == "invalid_request"
        assert service.ask(path, everybody["other customer"]).code == "account_unknown"
        assert service.ask(path, everybody["admin"]).code == "forbidden"
        assert service.ask(path, None).code == "unauthenticated"


def _statements() -> dict[str, bytes]:
    """Every statement that reads an account, its first wall taken out: it names any account."""
    found = {}
    functions = (
        *("charges", "unbilled_charges", "reversed_charges", "invoices", "payments", "credits"),
        *("refunds", "write_offs", "disputes", "messages", "activity"),
    )
    for name, statement in load("api", "lists.sql").items():
        for function in functions if b"{list}" in statement else ("",):
            if name in ("one", "page_of_status", "page_of_invoice", "page_put_on_invoice"):
                continue
            text = statement.replace(b"access.account()", b"%(account)s::uuid")
            on = b"issued_on" if function == "invoices" else b"effective_on"
            text = text.replace(b"{list}", b"receivables." + function.encode())
            found[f"{name} {function}"] = text.replace(b"{on}", on).replace(b")b", b")s")
    return found


@pytest.mark.parametrize("name", list(_statements()))
def test_row_level_security_denies_what_the_filter_would_let_by(us: Database, name: str) -> None:
    """Whoever is let in for B-1 reads nothing of A-1, even by a statement that asks for it."""
    a, b = place("us", "A-1"), place("us", "B-1")
    given = {
        "account": a.account_id,
        "lane": a.lane,
        "position": None,
        "day": "9999-12-31",
        "from": "0001-01-01",
        "to": "9999-12-31",
        "before_on": "9999-12-31",
        "before_seq": 2**62,
        "limit": 10,
        "invoice": "i-1",
        "words": None,
        "after": "",
        "first_on": "2000-01-01",
        "from_on": "2000-01-01",
        "known": 0,
        "last_on": "2100-01-01",
    }
    with closing(psycopg.connect(acting_as(us.service_url, READER))) as connection:
        for scope, is_read in ((a, True), (b, False)):
            connection.execute(
                b"SELECT set_config('billing.scope', %s, true)", (str(scope.account_id),)
            )
            rows = connection.execute(_statements()[name], given).fetchall()
            numbers = [row[0] for row in rows]
            if name == "accounts ":
                assert ["A-1" if is_read else "B-1"] == numbers
            elif not is_read:
                assert all(value in (None, 0) for row in rows for value in row), (name, rows)
            connection.rollback()


def test_what_the_second_wall_hides_is_there(us: Database) -> None:
    """The statements of the test above do find rows where they may: it could fail."""
    at = place("us", "A-1")
    with closing(psycopg.connect(acting_as(us.service_url, READER))) as connection:
        connection.execute(b"SELECT set_config('billing.scope', %s, true)", (str(at.account_id),))
        for function in ("charges", "invoices", "payments", "disputes", "messages", "activity"):
            [count] = connection.execute(
                f"SELECT count(*) FROM receivables.{function}(%s, %s, 'infinity', NULL)".encode(),
                (at.lane, at.account_id),
            ).fetchone() or [0]
            assert int(str(count)) > 0, function


def test_a_token_is_let_in_for_its_own_account_only(us: Database, service: Service) -> None:
    """access.enter sets the scope to just the account that was allowed, else to none."""
    token = digest(service.token("A-1", PASSWORD))
    with closing(psycopg.connect(acting_as(us.service_url, READER))) as connection:
        for number, verdict in (("A-1", "allowed"), ("B-1", "unknown")):
            at = place("us", number)
            row = connection.execute(
                b"SELECT e.verdict, current_setting('billing.scope'),"
                b" current_setting('billing.account') FROM access.enter(%s, %s, %s, %s, %s) AS e",
                (list(READ_ACCOUNT.roles), READ_ACCOUNT.scope, token, at.lane, at.account_id),
            ).fetchone()
            scope = str(at.account_id) if verdict == "allowed" else "-"
            assert (verdict, scope, scope.strip("-")) == row
            connection.rollback()
