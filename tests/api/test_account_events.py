"""The list of an account's events: newest first, filtered, as known then, and never too much at once."""

import asyncio
from contextlib import closing
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from api.routes import account_events
from api.wiring import Database, Doors
from ledger.store.lanes import account_id
from tests.api.books import COMMANDS, PASSWORD, TOKENS
from tests.api.serving import Service

US = TOKENS["us"]
PATH = "/v1/accounts/A-1/events"


def ask(service: Service, query: str = "", path: str = PATH) -> Any:
    answer = service.ask(path + query, US)
    assert answer.status == 200, answer
    return answer.json


def listed(service: Service, query: str = "", path: str = PATH) -> list[dict[str, Any]]:
    """Every event of every page."""
    found = list[dict[str, Any]]()
    page = ask(service, f"?{query}", path)
    while True:
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        page = ask(service, f"?{query}&cursor={page['next_cursor']}", path)


def test_the_list_is_the_accounts_log(service: Service, us: Database) -> None:
    """Every event of the account and of no other, latest first, in pages of any size."""
    with closing(us.log()) as log:
        stored = [
            (f"{e.lane}-{e.position}", e.version, e.hash.hex())
            for e in log.account(account_id("us", "A-1"))
        ]
    assert len(stored) > len(COMMANDS)
    for limit in (1, 4, 500):
        events = listed(service, f"limit={limit}")
        assert stored[::-1] == [(e["position"], e["version"], e["hash"]) for e in events]
    first = events[-1]
    assert (first["type"], first["data"]["company"]) == ("account_opened", "Example Traders")
    keys = [
        *("position", "version", "type", "effective_on", "recorded_at", "actor", "reason", "key"),
        *("data", "hash"),
    ]
    assert all(list(event) == keys for event in events)


def test_filters_narrow_the_list(service: Service) -> None:
    """Type and days leave out what does not fit, together and by page."""
    whole = listed(service)
    charges = [e for e in whole if e["type"] == "charge_posted"]
    assert len(charges) > 1
    assert charges == listed(service, "type=charge_posted")
    assert charges == listed(service, "type=charge_posted&limit=1")
    days = [e for e in whole if "2020-02-10" <= e["effective_on"] <= "2020-03-02"]
    assert days
    assert days == listed(service, "from=2020-02-10&to=2020-03-02&limit=2")
    assert [e for e in days if e["effective_on"] <= "2020-02-29"] == listed(
        service, "from=2020-02-10&to=2020-03-02&effective_on=2020-02-29"
    )
    both = [e for e in charges if e["effective_on"] >= "2020-02-10"]
    assert both == listed(service, "type=charge_posted&from=2020-02-10")
    assert [] == listed(service, "type=account_closed")
    assert [] == listed(service, "from=2020-03-02&to=2020-02-10")


def test_as_known_then_there_is_nothing_later(service: Service) -> None:
    """With `at` or `known_at` the list ends where the log did, and says the moment it was read at."""
    whole = listed(service)
    for n in (0, 3, len(whole) - 1):
        position, instant = whole[n]["position"], whole[n]["recorded_at"]
        page = ask(service, f"?at={position}")
        assert page["data"] == whole[n:]
        assert page["position"] == position
        known = [e for e in whole if e["recorded_at"] <= instant]
        assert known == listed(service, f"known_at={instant}")


def test_what_does_not_fit_is_refused(service: Service) -> None:
    """Other types, another list's cursor and unknown parameters are 422, and say which."""
    cursor = ask(service, "?limit=1")["next_cursor"]
    for query in (
        *("type=charge", "type=", "status=open", "limit=0", "cursor=x", "from=2020"),
        *(f"cursor={cursor}&type=charge_posted", f"cursor={cursor[:-1]}"),
    ):
        answer = service.ask(f"{PATH}?{query}", US)
        assert (422, "invalid_request") == (answer.status, answer.code), query
    elsewhere = service.ask(f"/v1/accounts/B-1/events?cursor={cursor}", US)
    assert elsewhere.code == "invalid_request"
    other = service.ask(f"{PATH}?at=0-1&known_at=2020-01-01T00:00:00Z", US)
    assert other.status == 422


def test_customers_see_their_own(service: Service) -> None:
    """A customer reads the account's events; another's are as unknown as nobody's."""
    token = service.token("A-1", PASSWORD)
    answer = service.ask(PATH, token)
    assert answer.status == 200
    assert service.ask("/v1/accounts/B-1/events", token).code == "account_unknown"
    tag = answer.headers["etag"]
    assert service.ask(PATH, token, headers={"If-None-Match": tag}).status == 304
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("scanned", [1, 3, 7])
def test_one_request_looks_at_a_bounded_part(
    us: Database, scanned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that fits few gives short pages with cursors that lead on, and loses nothing."""
    monkeypatch.setattr(account_events, "SCANNED_MAX", scanned)
    whole = pages_of(us, {})
    assert len(whole) > 1
    sizes = [len(page) for page in whole]
    assert max(sizes) <= scanned
    charges = pages_of(us, {"type": "charge_posted"})
    assert len(charges) == len(whole)
    expected = [e for page in whole for e in page if e["type"] == "charge_posted"]
    assert expected == [e for page in charges for e in page]
    assert len(expected) > 1


def pages_of(us: Database, given: dict[str, str]) -> list[list[dict[str, Any]]]:
    """The pages of account A-1, read as the endpoint reads them, in this process."""

    async def run() -> list[list[dict[str, Any]]]:
        doors = Doors((us,))
        try:
            operation = account_events.account_event_operation(doors.regions)
            found: list[list[dict[str, Any]]] = []
            query = "&".join(f"{n}={v}" for n, v in given.items())
            cursor = ""
            while True:
                scope = {
                    "type": "http",
                    "method": "GET",
                    "headers": [(b"authorization", f"Bearer {US}".encode())],
                    "query_string": f"{query}{cursor}".lstrip("&").encode(),
                    "path_params": {"account_number": "A-1"},
                }
                response = await operation.handle(Request(scope))
                page = msgspec.json.decode(response.body)
                found.append(page["data"])
                if page["next_cursor"] is None:
                    return found
                cursor = f"&cursor={page['next_cursor']}"
        finally:
            await doors.close()

    return asyncio.run(run())
