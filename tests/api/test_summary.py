"""The summary: equal to the fold of the events, at any two clocks, fresh, cached, and seen by few."""

import re
import threading
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.account_reads import BEHIND_S_MAX
from api.wiring import Database
from ledger.book import Book
from ledger.history import as_of
from ledger.money import decimal_text
from ledger.store.lanes import account_id, lane_of
from ledger.store.outcomes import Accepted
from tests.api.books import (
    COMMANDS,
    PASSWORD,
    STAFF,
    TOKENS,
    WITHOUT_SCOPES,
    payment,
    requests,
)
from tests.api.conftest import Deployment
from tests.api.serving import Service

US = TOKENS["us"]
READERS = tuple(role for role in STAFF if role != "admin")


def usd(minor: int) -> dict[str, str]:
    return {"amount": decimal_text(minor, "USD"), "currency": "USD"}


def figures(book: Book, on: date, events: int | None = None) -> dict[str, Any]:
    """What a summary must show, from the events in memory."""
    standing = as_of(book.events[:events], on).standing
    shown = {
        name.removesuffix("_minor"): usd(getattr(standing, name))
        for name in standing.__struct_fields__
        if name.endswith("_minor")
    }
    aging = {
        name: usd(getattr(standing.aging, name))
        for name in ("current", "d1_30", "d31_60", "d61_90", "d91", "disputed")
    }
    return {
        **shown,
        "due_on": standing.due_on and standing.due_on.isoformat(),
        "days_past_due": standing.days_past_due,
        "aging": {**aging, "oldest_days": standing.aging.oldest_days},
    }


def test_it_equals_the_fold_of_the_events(
    service: Service, deployment: Deployment, us: Database
) -> None:
    """Every figure, and everything beside the figures, in exactly the form of the contract."""
    answer = service.summary("A-1", US)
    assert answer.status == 200
    found = answer.json
    book, today, lane = deployment.books["us"], us.today(), lane_of(account_id("us", "A-1"))
    recorded_at = datetime.fromisoformat(found.pop("known_at"))
    assert datetime.now(UTC) - recorded_at < timedelta(hours=1)
    position = found.pop("position")
    assert answer.headers["ledger-position"] == position
    assert int(position.removeprefix(f"{lane}-")) >= len(book.events)
    expected = {
        "account_number": "A-1",
        "client_id": "ACME",
        "company": "Example Traders",
        "region": "us",
        "country": "USA",
        "currency": "USD",
        "billing_cycle": "month_end",
        "settings": {
            "invoice_delivery": "full_detail",
            "delivery_channel": "paper",
            "payment_method": "cash_check",
            "language": "en",
        },
        **figures(book, today),
        "last_payment": {
            "payment_id": "p-1",
            "amount": usd(30_00),
            "effective_on": "2020-03-01",
            "method": "card",
        },
        "unread_messages": 1,
        "version": len(book.events),
        "effective_on": today.isoformat(),
    }
    assert expected == found
    assert usd(120_05) == found["balance"]


@pytest.mark.parametrize("on", ["2019-12-31", "2020-01-31", "2020-03-01", "2020-04-01"])
def test_it_stands_as_of_any_day(service: Service, deployment: Deployment, on: str) -> None:
    """`effective_on` counts what had happened by that day, as known now."""
    answer = service.summary("A-1", US, f"?effective_on={on}")
    assert answer.status == 200
    found = answer.json
    expected = figures(deployment.books["us"], date.fromisoformat(on))
    assert expected == {name: found[name] for name in expected}
    assert on == found["effective_on"]


def test_it_stands_as_known_at_an_instant_or_a_position(
    service: Service, deployment: Deployment, us: Database
) -> None:
    """`at` a position, and `known_at` the instant it was recorded, know only what was known."""
    id = account_id("us", "A-1")
    with closing(us.log()) as log:
        events = list(log.account(id))
    for event in events:
        position = f"{event.lane}-{event.position}"
        answer = service.summary("A-1", US, f"?at={position}")
        assert answer.status == 200, answer
        expected = figures(deployment.books["us"], us.today(), event.version)
        found = answer.json
        assert expected == {name: found[name] for name in expected}
        assert (position, event.version) == (found["position"], found["version"])
    last = events[-1].recorded_at.astimezone(UTC)
    instant = last.isoformat().replace("+00:00", "Z")
    known = service.summary("A-1", US, f"?known_at={instant}").json
    assert (instant, len(events)) == (known["known_at"], known["version"])
    before = (events[0].recorded_at - timedelta(microseconds=1)).astimezone(UTC).isoformat()
    unknown = service.summary("A-1", US, f"?known_at={before.replace('+00:00', 'Z')}")
    assert unknown.code == "account_unknown"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?colour=red", 422, "invalid_request"),
        ("?effective_on=2020-13-01", 422, "invalid_request"),
        ("?effective_on=2020-1-1", 422, "invalid_request"),
        ("?effective_on=%D9%A2020-01-01", 422, "invalid_request"),
        ("?effective_on=", 422, "invalid_request"),
        ("?effective_on=2020-01-01&effective_on=2020-01-01", 422, "invalid_request"),
        ("?known_at=2020-01-01", 422, "invalid_request"),
        ("?known_at=2020-01-01T00:00:00%2B02:00", 422, "invalid_request"),
        ("?known_at=2020-01-01T00:00:00Z&at=1-1", 422, "invalid_request"),
        ("?known_at=2999-01-01T00:00:00Z", 422, "known_at_in_future"),
        ("?at=x", 422, "position_unknown"),
        ("?at=99-1", 422, "position_unknown"),
        ("?at=1-99999999999999999999", 422, "position_unknown"),
        ("?" + "&".join(f"p{n}=1" for n in range(40)), 422, "invalid_request"),
    ],
)
def test_a_wrong_parameter_is_refused(service: Service, query: str, status: int, code: str) -> None:
    """What is not understood is never guessed at."""
    answer = service.summary("A-1", US, query)
    assert (status, code) == (answer.status, answer.code)


@pytest.mark.parametrize("read", ["summary", "invoices"])
def test_an_instant_to_come_is_told_as_it_was_asked_for(service: Service, read: str) -> None:
    """The sentence has both instants as they are given in requests and told in answers."""
    asked_for = f"/v1/accounts/A-1/{read}?known_at=2999-01-01T00:00:00Z"
    told = service.ask(asked_for, US).json["detail"]
    assert re.fullmatch(r"2999-01-01T00:00:00Z is after the ledger's clock, [-0-9:.T]{26}Z", told)


def test_a_wrong_parameter_is_refused_without_waiting(service: Service) -> None:
    """What is wrong is told at once, whatever position the answer must not be older than."""
    wanted = f"{(lane_of(account_id('us', 'A-1')) + 1) % 64}-1"
    for account, code in (("A-1", "invalid_request"), ("no-such", "account_unknown")):
        answer = service.summary(account, US, "?effective_on=x", Ledger_Position=wanted)
        assert code == answer.code


def test_a_position_that_was_never_given_is_unknown(service: Service) -> None:
    """A position past the lane's head, or of another lane, is no position of this account."""
    lane = lane_of(account_id("us", "A-1"))
    for at in (f"{lane}-999999999", f"{(lane + 1) % 64}-1"):
        assert service.summary("A-1", US, f"?at={at}").code == "position_unknown"


def test_an_etag_saves_the_body(service: Service, deployment: Deployment, us: Database) -> None:
    """The ETag is version, day and representation; unchanged figures answer 304 without a body."""
    first = service.summary("A-1", US)
    tag = first.headers["etag"]
    version = len(deployment.books["us"].events)
    assert f'"{version}.{us.today()}.1"' == tag
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = service.summary("A-1", US, If_None_Match=sent)
        assert (304, b"", tag) == (again.status, again.body, again.headers["etag"])
    other_day = service.summary("A-1", US, "?effective_on=2020-03-01", If_None_Match=tag)
    assert (200, f'"{version}.2020-03-01.1"') == (other_day.status, other_day.headers["etag"])
    assert service.summary("A-1", US, If_None_Match='"0.x.1"').status == 200


def test_a_write_is_read_with_its_position(service: Service, us: Database) -> None:
    """Sent back, a write's position gives that write or later, however soon it is asked."""
    written = requests("W-1", us.today(), COMMANDS[:3])
    payments = [payment(f"p-{n}", date(2020, 3, 1), 1_00) for n in range(25)]
    more = requests("W-1", us.today(), (*COMMANDS[:3], *payments))[3:]
    with closing(us.ledger()) as ledger:
        for version, request in enumerate(written + more, start=1):
            [outcome] = ledger.handle_now([request])
            assert isinstance(outcome, Accepted), outcome
            at = f"{outcome.lane}-{outcome.position}"
            answer = service.summary("W-1", US, Ledger_Position=at)
            assert answer.status == 200, answer
            expected = outcome.version
            assert expected <= answer.json["version"], version
            elsewhere = service.summary("A-1", US, Ledger_Position=at)
            assert elsewhere.status == 200


def test_views_that_stay_behind_are_said_to_be(service: Service, us: Database) -> None:
    """What the views do not reach within a second is a 503, never an older truth."""
    lane = lane_of(account_id("us", "LATE-1"))
    with closing(us.ledger()) as ledger, closing(psycopg.connect(us.owner_url or "")) as held:
        held.execute(b"SELECT FROM receivables.tracking WHERE lane = %s FOR UPDATE", (lane,))
        [outcome] = ledger.handle_now(requests("LATE-1", us.today(), COMMANDS[:1]))
        assert isinstance(outcome, Accepted), outcome
        at = f"{lane}-{outcome.position}"
        for path in ("/v1/accounts/A-1/summary", "/v1/accounts/A-1/charges"):
            answer = service.ask(path, US, headers={"Ledger-Position": at})
            assert (503, "view_behind") == (answer.status, answer.code)
            assert answer.headers["retry-after"] == "1"
        held.rollback()
    assert service.summary("LATE-1", US, Ledger_Position=at).status == 200


def test_a_position_that_no_command_was_told_is_not_waited_for(service: Service) -> None:
    """Past the head of its lane it is refused at once; what is unknown to the asker stays unknown."""
    lane = lane_of(account_id("us", "A-1"))
    past = (f"{lane}-999999999", f"{(lane + 1) % 64}-999999999")
    for path in ("summary", "summary?effective_on=2020-03-01", "charges", "settings"):
        for at in past:
            for number, refused in (("A-1", "position_unknown"), ("no-such", "account_unknown")):
                began = time.monotonic()
                answer = service.ask(
                    f"/v1/accounts/{number}/{path}", US, headers={"Ledger-Position": at}
                )
                assert refused == answer.code
                assert time.monotonic() - began < BEHIND_S_MAX
    assert service.summary("A-1", US, Ledger_Position="x").code == "position_unknown"


def test_customers_see_their_own_accounts_alone(service: Service) -> None:
    """A foreign account, one that does not exist and one that cannot are told apart by nobody."""
    token = service.token("A-1", PASSWORD)
    assert service.summary("A-1", token).status == 200
    bodies = set()
    for number in ("B-1", "Z-9", "a b", "\ud7ff", "x" * 500):
        answer = service.summary(number, token)
        assert (404, "account_unknown") == (answer.status, answer.code)
        bodies.add(answer.body.replace(answer.json["correlation_id"].encode(), b""))
        for query in ("?effective_on=2020-01-31", "?colour=red", "?at=x", "?at=1-1"):
            assert service.summary(number, token, query).code == "account_unknown"
    assert 1 == len(bodies)


def test_the_same_number_in_another_region_is_another_account(service: Service) -> None:
    """A session of one region never reads another's: neither by number, nor by its token's name."""
    ours, theirs = service.token("A-1", PASSWORD), service.token("A-1", PASSWORD, region="emea")
    assert service.summary("A-1", ours).json["region"] == "us"
    assert service.summary("A-1", theirs).json["region"] == "emea"
    assert service.summary("A-1", "emea." + ours.partition(".")[2]).status == 401
    staff = service.token("finance", PASSWORD, region="emea")
    assert service.summary("W-9", staff).code == "account_unknown"


def test_only_some_staff_read_accounts(service: Service) -> None:
    """Support, finance and auditors read all; admins see that an account exists, and get 403."""
    for role in READERS:
        token = service.token(role, PASSWORD)
        assert [200, 200] == [service.summary(n, token).status for n in ("A-1", "B-1")]
    for token in (service.token("admin", PASSWORD), WITHOUT_SCOPES):
        assert service.summary("A-1", token).code == "forbidden"
        assert service.summary("A-1", token, "?colour=red").code == "forbidden"
        assert service.summary("Z-9", token).code == "account_unknown"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer us",
        f"Basic {US}",
        f"Bearer {US}x",
        "Bearer us." + "x" * 43,
        "Bearer é",
    ],
)
def test_without_a_token_nobody_learns_anything(service: Service, authorization: str) -> None:
    """No token, or none that is known: 401 whether the account exists or not."""
    for account in ("A-1", "Z-9", "a b"):
        headers = {"Authorization": authorization.encode("latin-1").decode("latin-1")}
        answer = service.ask(f"/v1/accounts/{account.replace(' ', '%20')}/summary", headers=headers)
        assert (401, "unauthenticated") == (answer.status, answer.code)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_many_at_once_each_get_their_own(service: Service) -> None:
    """Requests gathered into one read keep their own token, account and refusal."""
    mine, other = service.token("A-1", PASSWORD), service.token("B-1", PASSWORD)
    asked = [
        ("A-1", mine, 200),
        ("B-1", mine, 404),
        ("A-1", other, 404),
        ("B-1", other, 200),
        ("A-1", "us." + "x" * 43, 401),
        ("A-1", WITHOUT_SCOPES, 403),
    ]
    wrong: list[object] = []

    def ask(account: str, token: str, status: int) -> None:
        for n in range(25):
            answer = service.summary(
                account, token, "?effective_on=2020-03-01" if n % 5 == 0 else ""
            )
            if status != answer.status or (
                status == 200 and account != answer.json["account_number"]
            ):
                wrong.append((account, status, answer))

    threads = [threading.Thread(target=ask, args=one) for one in asked * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong
