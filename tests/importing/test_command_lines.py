"""Lines of commands: read by the contract, every fault named, each line refused only itself."""

import io

import msgspec
import pytest

from api.wire import TYPES, InvalidBody, Lines, command
from ledger import commands as c
from ledger.command_lines import CommandLines
from ledger.errors import CurrencyMismatch
from ledger.importing import Problem, Summary, run
from ledger.store.outcomes import Refused
from tests.importing.bodies import BAD, CHARGE, GOOD, ON, OPENING
from tests.importing.books import Books
from tests.importing.files import TODAY, line


def lines(books: Books | None = None) -> Lines:
    currency_of = books.currency_of if books else lambda account: "USD"
    return Lines(currency="USD", currency_of=currency_of, today=TODAY, actor="import")


def imported(books: Books, *found: bytes, skip_bad: bool = False) -> tuple[Summary, list[Problem]]:
    reported: list[Problem] = []
    source = CommandLines(io.BytesIO(b"\n".join(found)), lines(books).request_or_faults)
    return run(source, books.enqueue, skip_bad=skip_bad, report=reported.append), reported


def unbilled(books: Books) -> int:
    """What waits for the next invoice of the lines' account, in minor units."""
    account = books.of["0042-AB"].account
    assert account is not None
    return account.unbilled_minor


@pytest.mark.parametrize(("type", "data", "expected"), GOOD)
def test_every_command_is_read(type: str, data: dict[str, object], expected: c.Command) -> None:
    """The body of the contract becomes exactly this command, from a line and from an endpoint."""
    assert expected == command(type, data, currency="USD")
    request = lines().request(line(type, **data))
    assert expected == request.command
    assert ("0042-AB", "k-1", "import", TODAY) == (
        request.account_number,
        request.key,
        request.actor,
        request.today,
    )
    again = msgspec.json.decode(msgspec.json.encode(expected), type=c.AnyCommand)
    assert expected == again


def test_no_command_is_forgotten() -> None:
    """Every command of the domain can be asked for, by its name in snake_case."""
    names = {c.snake_case(cls.__name__) for cls in c.AnyCommand.__args__}
    assert names == set(TYPES)
    assert names == {type for type, _, _ in GOOD}


def test_every_number_generated_can_be_named() -> None:
    """Also those of the account with the longest number, in every command that names an invoice."""
    number = f"{'A' * 64}-2020-07-{10**8}"
    bodies = {type: data for type, data, _ in GOOD}
    naming = ("issue_credit", "submit_payment", "write_off_invoice", "open_dispute")
    for type, key in (*((type, "invoice") for type in naming), ("cancel_invoice", "number")):
        read = lines().request(line(type, **bodies[type] | {key: number})).command
        assert number == getattr(read, key)
        assert read == msgspec.json.decode(msgspec.json.encode(read), type=c.AnyCommand)
    targets = [{"invoice": number, "amount": "1"}]
    read = command("reallocate_payment", {"payment_id": "P", "targets": targets}, currency="USD")
    assert read == msgspec.json.decode(msgspec.json.encode(read), type=c.AnyCommand)


@pytest.mark.parametrize(("given", "pointer", "code"), BAD)
def test_a_wrong_value_is_named(given: dict[str, object], pointer: str, code: str) -> None:
    """Strictly read: what is not the contract's form is told with its place and a stable code."""
    with pytest.raises(InvalidBody) as invalid:
        lines().request(line("post_charge", **{**CHARGE, **given}))
    assert [(pointer, code)] == [(error.pointer, error.code) for error in invalid.value.errors]
    assert str(invalid.value).isprintable()


def test_every_fault_of_a_body_is_told() -> None:
    """All at once, in the order given, then what is missing."""
    with pytest.raises(InvalidBody) as invalid:
        command("post_charge", {"amount": "x", "bogus": 1, "quantity": ""}, currency="USD")
    assert [
        ("/amount", "invalid_amount"),
        ("/bogus", "unknown_field"),
        ("/quantity", "invalid_decimal"),
        ("/charge_id", "missing_field"),
        ("/description", "missing_field"),
        ("/category", "missing_field"),
    ] == [(error.pointer, error.code) for error in invalid.value.errors]


@pytest.mark.parametrize(
    "found",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"key":1e999}',
        b'{"key":"\\ud800"}',
        line("post_charge", **{**CHARGE, "description": "\ud800"}),
    ],
)
def test_what_is_no_json_is_told(found: bytes) -> None:
    """Broken JSON, bytes that are not UTF-8, deep nesting, lone surrogates: malformed, no crash."""
    faults = lines().request_or_faults(found)
    assert isinstance(faults, list)
    assert ["malformed_json"] == [fault.code for fault in faults]


@pytest.mark.parametrize(
    ("found", "pointer"),
    [
        (b"[]", ""),
        (b"{}", "/key"),
        (line("post_charge", key="a b", **CHARGE), "/key"),
        (line("post_charge", key="x" * 256, **CHARGE), "/key"),
        (line("post_charge", account="", **CHARGE), "/account"),
        (line("drop_tables", **CHARGE), "/type"),
        (b'{"key":"k","account":"a","type":"post_charge","data":[]}', "/data"),
        (line("open_account", account_number="another", **OPENING), "/data/account_number"),
    ],
)
def test_a_wrong_line_is_told(found: bytes, pointer: str) -> None:
    """Key, account, type and data are read as strictly as the body."""
    with pytest.raises(InvalidBody) as invalid:
        lines().request(found)
    assert pointer == invalid.value.errors[0].pointer


def test_text_is_kept_in_nfc() -> None:
    """However a letter is composed, what is stored is one form."""
    read = command("post_charge", {**CHARGE, "description": "e\u0301"}, currency="USD")
    assert isinstance(read, c.PostCharge)
    assert "\u00e9" == read.description


def test_lines_are_applied_in_order_and_a_second_run_changes_nothing() -> None:
    """An account opened in yen takes whole yen from its next line on; again: all replayed."""
    books = Books()
    found = [
        line(
            "open_account",
            key="1",
            account="JP-1",
            **{**OPENING, "currency": "JPY", "opened_on": "2020-07-01"},
        ),
        line("post_charge", key="2", account="JP-1", **{**CHARGE, "amount": "6111", **ON}),
        line("open_account", key="1", **OPENING),
        line("post_charge", key="2", **CHARGE),
    ]
    summary, reported = imported(books, *found)
    assert ([], True, 2, 4) == (reported, summary.ok, summary.accounts, summary.accepted)
    again, _ = imported(books, *found)
    assert (True, 0, 4, 4) == (again.ok, again.accepted, again.replayed, books.events)
    assert ["JPY", "USD"] == [books.currency_of(number) for number in ("JP-1", "0042-AB")]


def test_bad_lines_stop_all_but_are_skipped_on_request() -> None:
    """Reported with number, code and place; nothing goes in, or just what is good."""
    found = [
        line("open_account", key="1", **OPENING),
        b"",
        b"not json",
        line("post_charge", key="2", **{**CHARGE, "amount": "x"}),
        line("post_charge", key="3", **CHARGE),
    ]
    books = Books()
    summary, reported = imported(books, *found)
    assert [(3, "malformed_json"), (4, "invalid_amount")] == [(p.line, p.code) for p in reported]
    assert "/data/amount: " in reported[1].message
    assert (False, 4, 2, 0) == (summary.applied, summary.lines, summary.bad_lines, books.events)
    summary, again = imported(books, *found, skip_bad=True)
    assert reported == again
    assert (True, 2, 2) == (summary.applied, summary.bad_lines, summary.accepted)


def test_a_refused_line_refuses_only_itself() -> None:
    """What the rules forbid is reported with its line; the lines after it are applied."""
    books = Books()
    summary, reported = imported(
        books,
        line("post_charge", key="0", **CHARGE),
        line("open_account", key="1", **OPENING),
        line("post_charge", key="2", **CHARGE),
        line("post_charge", key="3", **CHARGE),
        line("post_charge", key="2", **{**CHARGE, "amount": "1.00"}),
        line("post_charge", key="4", **{**CHARGE, "charge_id": "C-2"}),
    )
    assert [(1, "account_unknown"), (4, "id_taken"), (5, "idempotency_key_reused")] == [
        (problem.line, problem.code) for problem in reported
    ]
    assert reported == summary.refusals
    assert (True, False, 3, 3) == (summary.applied, summary.ok, summary.refused, summary.accepted)


def test_an_opening_that_is_refused_changes_no_amount() -> None:
    """Amounts for an account are in its own currency, whatever an opening in another one says."""
    books = Books()
    imported(books, line("open_account", key="1", **OPENING))
    summary, reported = imported(
        books,
        line("open_account", key="2", **OPENING, currency="KWD"),
        line("post_charge", key="3", **{**CHARGE, "amount": "10.50"}),
    )
    assert [(1, "account_exists")] == [(problem.line, problem.code) for problem in reported]
    assert 1 == summary.accepted
    assert 1050 == unbilled(books)


def test_amounts_read_in_another_currency_are_refused() -> None:
    """Of an account opened by somebody else since its lines were read, in another currency."""
    books = Books()
    asked = lines(books).request(line("post_charge", key="2", **{**CHARGE, "amount": "10.50"}))
    imported(books, line("open_account", key="1", **OPENING, currency="KWD"))
    assert [Refused(CurrencyMismatch(expected="KWD", currency="USD"))] == books.handle([asked])
    again = lines(books).request(line("post_charge", key="2", **{**CHARGE, "amount": "10.500"}))
    assert not isinstance(books.handle([again])[0], Refused)
    assert 10_500 == unbilled(books)


@pytest.mark.parametrize(
    ("currency", "left", "asked"), [("USD", "20.00", "30.05"), ("KWD", "2.000", "3.005")]
)
def test_a_refused_line_tells_amounts_in_the_accounts_money(
    currency: str, left: str, asked: str
) -> None:
    """What is reported of a line has amounts as the line writes them, with their currency."""
    paying = {"payment_id": "P", "pay": "amount", "method": "card", "status": "processed"}
    _, [problem] = imported(
        Books(),
        line("open_account", key="1", **OPENING | {"currency": currency}),
        line("submit_payment", key="2", **paying, amount=left),
        line("return_payment", key="3", payment_id="P", amount=asked, reason="NSF"),
    )
    says = f"payment 'P' has {left} {currency} that can be returned, not {asked} {currency}"
    assert Problem(line=3, code="return_exceeds_processed", message=says) == problem
