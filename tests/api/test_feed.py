"""The feed by the page: what it holds, who may have it, and what it goes on from."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any, TypeVar

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import api.feed
from api.database import LinePool
from api.feed import Feed, FeedEvent, Page, Wanted, fair_shares
from api.security.scope import READ_FEED, Permission
from api.security.tokens import digest
from api.vectors import Vector
from api.wiring import Database
from ledger.store.faults import Corrupt
from ledger.store.lanes import LANES
from ledger.store.roles import READER
from tests.api.books import PASSWORD, TOKENS, WITHOUT_SCOPES
from tests.api.serving import Answer, Service
from tests.counting import counted, thorough

US = TOKENS["us"]
KEYS = [
    *("position", "version", "type", "effective_on", "recorded_at", "actor", "reason", "key"),
    *("data", "hash", "account_number"),
]
T = TypeVar("T")


def ask(service: Service, query: str = "", token: str | None = US) -> Answer:
    return service.ask(f"/v1/events{query}", token)


def pages(service: Service, limit: int, token: str = US) -> Iterator[list[dict[str, Any]]]:
    """Every page up to the first that has nothing."""
    query = f"?limit={limit}"
    while True:
        page = ask(service, query, token).json
        assert ["data", "next_cursor"] == list(page)
        if not page["data"]:
            return
        yield page["data"]
        query = f"?limit={limit}&after={page['next_cursor']}"


def whole(service: Service, limit: int = 500) -> list[dict[str, Any]]:
    return [event for page in pages(service, limit) for event in page]


def with_feed(database: Database, work: Callable[[Feed], Awaitable[T]]) -> T:
    """What is done with a feed of the region."""

    async def run() -> T:
        feed = Feed("us", LinePool(database.service_url, READER, 1))
        try:
            return await work(feed)
        finally:
            await feed.close()

    return asyncio.run(run())


def page(database: Database, token: str, after: Vector, limit: int = 500) -> Page:
    """A page as the endpoint reads it, in this process."""
    return with_feed(database, lambda feed: feed.page(digest(token), lambda: Wanted(after, limit)))


def to_the_end(database: Database, token: str) -> tuple[list[FeedEvent], str]:
    """Every event that a token sees, page by page, and where the last one ends."""
    events, after = list[FeedEvent](), Vector("us")
    while True:
        found = page(database, token, after)
        events += found.events
        if found.is_last:
            return events, found.end.text()
        after = found.end


def test_the_feed_is_the_log(service: Service, us: Database) -> None:
    """Pages of any size hold every event once, each account in order, as the log has it."""
    with closing(us.log()) as log:
        stored = {
            f"{e.lane}-{e.position}": (e.version, e.hash.hex(), log.recorded(e))
            for head in log.heads()
            for e in log.lane(head.lane)
        }
    for limit in (1, 3, 500):
        events = whole(service, limit)
        assert len(stored) == len(events)
        versions = dict[str, int]()
        for event in events:
            assert list(event) == KEYS
            version, hash, recorded = stored[event["position"]]
            assert (version, hash) == (event["version"], event["hash"])
            assert (recorded.key, recorded.actor) == (event["key"], event["actor"])
            assert recorded.event.effective_on.isoformat() == event["effective_on"]
            assert event["data"]["effective_on"] == event["effective_on"]
            assert versions.get(event["account_number"], 0) + 1 == event["version"]
            versions[event["account_number"]] = event["version"]
    assert {"A-1", "B-1"} <= versions.keys()
    [opened] = [e for e in events if (e["account_number"], e["version"]) == ("A-1", 1)]
    assert (opened["type"], opened["data"]["company"]) == ("account_opened", "Example Traders")


def test_a_page_is_in_order_of_recording(service: Service) -> None:
    """Within a page events of all lanes are in the order in which they were recorded."""
    for events in pages(service, 500):
        instants = [event["recorded_at"] for event in events]
        assert len(events) > 5
        assert instants == sorted(instants)


def test_there_is_always_somewhere_to_go_on_from(service: Service) -> None:
    """At the end a page has no events and the same cursor, whose next page has the next event."""
    cursor = ""
    while (found := ask(service, f"?limit=500{cursor}").json)["data"]:
        cursor = f"&after={found['next_cursor']}"
    cursor = found["next_cursor"]
    again = ask(service, f"?after={cursor}").json
    assert {"data": [], "next_cursor": cursor} == again
    first = ask(service, "?limit=1").json
    [event] = first["data"]
    assert event in whole(service)
    [next_event] = ask(service, f"?limit=1&after={first['next_cursor']}").json["data"]
    assert event["position"] != next_event["position"]
    assert len(ask(service, "").json["data"]) <= 50


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?after=", "invalid_request"),
        ("?after=garbage", "position_unknown"),
        ("?after=0-1", "position_unknown"),
        ("?after=%00%ff", "invalid_request"),
        ("?after=%C3%A9", "position_unknown"),
        ("?after=" + "A" * 1_024, "position_unknown"),
        ("?after=" + "A" * 1_025, "invalid_request"),
        ("?after=" + Vector("us", [1] * LANES).text(), "position_unknown"),
        ("?after=" + Vector("us", [2**63 - 1] * LANES).text(), "position_unknown"),
        ("?after=" + Vector("us", [2**64] * LANES).text(), "position_unknown"),
        ("?after=" + Vector("emea").text(), "position_unknown"),
        ("?limit=0", "invalid_request"),
        ("?limit=501", "invalid_request"),
        ("?cursor=x", "invalid_request"),
    ],
)
def test_what_is_no_place_is_refused(service: Service, query: str, code: str) -> None:
    """A wrong place is a 422 for who may read the feed, of the page as of the stream; others are
    told who they are."""
    paths = ["/v1/events"] if "limit" in query else ["/v1/events", "/v1/events/stream"]
    for path in paths:
        answer = service.ask(path + query, US)
        assert (422, code) == (answer.status, answer.code)
        assert service.ask(path + query, WITHOUT_SCOPES).code == "forbidden"
        assert service.ask(path + query).code == "unauthenticated"
        assert service.ask(path, US + "x").code == "unauthenticated"


def test_the_last_event_id_is_a_place_too(service: Service) -> None:
    """It takes the place of `after`, as a browser that comes back sends both; and is checked alike."""

    def status(query: str, last: str) -> int:
        """HEAD, for an answer that ends even when it is let in."""
        headers = {"Last-Event-ID": last}
        return service.ask(f"/v1/events/stream{query}", US, method="HEAD", headers=headers).status

    here = Vector("us").text()
    for wrong in ("", "garbage", Vector("us", [1] * LANES).text(), "\xff"):
        assert 422 == status(f"?after={here}", wrong)
    assert 200 == status("?after=garbage", here)


def test_who_reads_the_feed(service: Service) -> None:
    """Auditors and services of the audit; the other region's sees its own region's."""
    assert ask(service, "", service.token("auditor", PASSWORD)).status == 200
    for identifier in ("support", "finance", "admin", "A-1"):
        token = service.token(identifier, PASSWORD)
        for path in ("/v1/events", "/v1/events/stream"):
            assert service.ask(path, token).code == "forbidden"
    here, there = (
        {event["hash"] for event in whole(service, 500)},
        {event["hash"] for page in pages(service, 500, TOKENS["emea"]) for event in page},
    )
    assert there
    assert not here & there


def test_row_level_security_holds_behind_an_open_door(
    service: Service, us: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the check of the permission patched open, customers see their own accounts' events
    alone, and get to the end of the log all the same."""
    everybody = Permission("open", (*READ_FEED.roles, "customer"), READ_FEED.scope)
    monkeypatch.setattr(api.feed, "READ_FEED", everybody)
    for number in ("A-1", "B-1"):
        seen, end = to_the_end(us, service.token(number, PASSWORD))
        events = [event for event in whole(service) if event["account_number"] == number]
        positions = {event.position for event in seen}
        assert {event["position"] for event in events} == positions
        assert (len(seen), {number}) == (len(positions), {e.account_number for e in seen})
        assert end == to_the_end(us, US)[1]


def test_a_missing_event_is_not_passed_over(us: Database) -> None:
    """A consumer is told nothing rather than less than all: a gap in the log stops the feed."""
    assert us.owner_url is not None
    last = page(us, US, Vector("us")).places[-1]
    with closing(psycopg.connect(us.owner_url, autocommit=True)) as owner:
        given = {"lane": last[0], "position": last[1]}
        owner.execute(
            b"CREATE TABLE kept AS SELECT * FROM ledger.event"
            b" WHERE lane = %(lane)s AND position = %(position)s",
            given,
        )
        owner.execute(
            b"DELETE FROM ledger.event WHERE lane = %(lane)s AND position = %(position)s", given
        )
        try:
            with pytest.raises(Corrupt):
                page(us, US, Vector("us"))
        finally:
            owner.execute(b"INSERT INTO ledger.event SELECT * FROM kept")
            owner.execute(b"DROP TABLE kept")
    assert page(us, US, Vector("us")).places[-1] == last


LAGS = st.dictionaries(st.integers(0, LANES - 1), st.integers(1, 400), max_size=LANES)


@thorough(500)
@given(LAGS, st.integers(1, 500), st.integers(0, 10_000))
@counted
def test_a_page_is_full_and_fair(lags: dict[int, int], limit: int, turn: int) -> None:
    """A page takes what there is up to its limit; no lane gets more while another with more waiting
    gets less, but for one event."""
    taken = fair_shares(lags, limit, turn=turn)
    assert min(limit, sum(lags.values())) == sum(taken.values())
    assert all(0 < count <= lags[lane] for lane, count in taken.items())
    short = [taken.get(lane, 0) for lane in lags if taken.get(lane, 0) < lags[lane]]
    assert not short or max(taken.values()) <= min(short) + 1


@thorough(200)
@given(
    st.sets(st.integers(0, LANES - 1), min_size=2), st.integers(1, LANES), st.integers(0, 10_000)
)
@counted
def test_no_lane_waits_for_ever(busy: set[int], limit: int, turn: int) -> None:
    """With pages smaller than the number of lanes that never run dry, each is served in a round."""
    served = dict.fromkeys(busy, 0)
    for _ in range(LANES):
        for lane, count in fair_shares(dict.fromkeys(busy, 10**6), limit, turn=turn).items():
            served[lane] += count
            turn += count
    assert min(served.values()) > 0


def test_lanes_of_the_book_are_told_apart(us: Database) -> None:
    """The book of these tests is in more than one lane: their claims are about several."""
    places = page(us, US, Vector("us")).places
    assert len({lane for lane, _ in places}) > 1
    assert all(a != b for a, b in pairwise(sorted(places)))
