"""Every figure explains itself: by items and events that add up to it, at any two clocks."""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.embedded import EmbeddedServer
from ledger.explaining import BUCKETS, FIGURES, Sums, explanation
from ledger.history import AsOf, as_of
from ledger.money import decimal_text
from ledger.movements import movements
from ledger.store.lanes import lane_of
from tests.api.made_up import Asked, Json, made_up_region
from tests.projections.books import MadeUp, books

CLOCKS = 24
DAYS = ("due_on", "days_past_due", "oldest_days")


@pytest.fixture(scope="module")
def asked(server: EmbeddedServer) -> Asked:
    """Random accounts, to be asked for."""
    return made_up_region(server)


def figures(seen: AsOf) -> dict[str, Any]:
    """Every figure that can be explained, as the fold has it."""
    found: dict[str, Any] = {b: getattr(seen.standing.aging, b) for b in (*BUCKETS, "disputed")}
    found["oldest_days"] = seen.standing.aging.oldest_days
    found["unapplied_credit"] = sum(seen.unapplied_minor.values())
    for name in FIGURES:
        if name not in found:
            minor = getattr(seen.standing, f"{name}_minor", None)
            found[name] = getattr(seen.standing, name) if minor is None else minor
    return found


def moments(asked: Asked, dice: random.Random) -> list[tuple[MadeUp, int, date]]:
    """Accounts at versions and days, such that no figure is nothing at all of them."""
    wanted, found = Counter[str](), list[tuple[MadeUp, int, date]]()
    for _ in range(5_000):
        account = asked.accounts[dice.choice(sorted(asked.accounts))]
        held = account.book.events
        version = dice.randint(1, len(held))
        day = dice.choice(held).effective_on + timedelta(days=dice.randint(0, 110))
        there = [name for name, value in figures(as_of(held[:version], day)).items() if value]
        if len(found) < CLOCKS or any(wanted[name] == 0 for name in there):
            found.append((account, version, day))
            wanted.update(there)
        if len(found) >= CLOCKS and all(wanted[name] for name in FIGURES):
            return found
    raise AssertionError(wanted)


def explain(asked: Asked, number: str, query: str = "") -> list[Json]:
    """Every figure of an account explained, each in one page."""
    path = f"/v1/accounts/{number}/explain"
    pages = asked.all(*(f"{path}/{figure}?limit=500{query}" for figure in FIGURES))
    assert all(page["next_cursor"] is None for page in pages)
    return pages


def test_every_figure_adds_up_from_its_events(asked: Asked) -> None:
    """Live and at random clocks every figure is what the fold says; its contributions and rules add
    up to it exactly, item by item, and each is what an event of the account moved."""
    seed = random.randrange(2**32)
    print("seed", seed)
    shown = Counter[str]()
    for account, version, day in moments(asked, random.Random(seed)):
        at = f"{lane_of(account.id)}-{asked.positions(account)[version - 1]}"
        wanted = figures(as_of(account.book.events[:version], day))
        for page in explain(asked, account.number, f"&effective_on={day}&at={at}"):
            assert_adds_up(account, page, wanted[page["figure"]])
            assert (str(day), at) == (page["effective_on"], page["position"])
            assert all(row["version"] <= version for row in page["data"])
            shown[page["figure"]] += len(page["data"])
    assert all(shown[figure] for figure in FIGURES), shown
    account = max(asked.accounts.values(), key=lambda account: len(account.book.events))
    wanted = figures(as_of(account.book.events, asked.database.today()))
    for page in explain(asked, account.number):
        assert_adds_up(account, page, wanted[page["figure"]])


def test_pages_are_the_whole(asked: Asked) -> None:
    """Contributions page by page are those of one large page; items stand on the first alone."""
    split = 0
    for account in sorted(asked.accounts.values(), key=lambda a: len(a.book.events))[-6:]:
        last = account.book.events[-1].effective_on.isoformat()
        for figure in ("balance", "payable_now", "current_activity"):
            path = f"/v1/accounts/{account.number}/explain/{figure}"
            [whole] = asked.pages(path, 500, effective_on=last)
            pages = asked.pages(path, 1, effective_on=last)
            assert whole["data"] == [row for page in pages for row in page["data"]]
            assert whole["items"] == pages[0]["items"]
            assert all(page["items"] is None for page in pages[1:])
            split += len(pages) > 2
    assert split > 3


def assert_adds_up(account: MadeUp, first: Json, wanted: Any) -> None:
    """The figure is the one wanted, and its contributions add up and are the account's."""
    assert account.book.account is not None
    currency, figure = account.book.account.currency, first["figure"]
    if figure in DAYS:
        assert wanted == (date.fromisoformat(first["value"]) if figure == "due_on" and first["value"] else first["value"])  # fmt: skip
    else:
        assert decimal_text(wanted, currency) == first["value"]["amount"], (account.number, figure)
        assert first["amount"] == first["value"]
    sums = Counter[tuple[str, str]]()
    for row in first["data"]:
        sums[row["item"], row["part"]] += amount(row)
        assert row["recorded_at"]
        moved = {
            (m.item, abs(Decimal(decimal_text(m.amount_minor, currency))), m.on.isoformat())
            for m in movements(account.book.events[row["version"] - 1])
        }
        item = "" if row["part"] == "unbilled" else row["item"]
        assert (item, abs(amount(row)), row["effective_on"]) in moved
    ruled = sum(amount(rule) for rule in first["rules"])
    assert amount(first) == sum(sums.values()) + ruled, (account.number, first)
    if figure != "current_activity":
        assert {(i["item"], i["part"]): amount(i) for i in first["items"]} == sums
        assert first["items_count"] == len(sums)


def amount(shown: Mapping[str, Any]) -> Decimal:
    return Decimal(shown["amount"]["amount"])


def test_rules_explain_what_events_do_not() -> None:
    """Over made-up books at random days every rule is met: a figure that stops at nothing, a dispute
    beyond what is open, credit beside a disputed amount; and the parts add up with them."""
    dice = random.Random(5)
    met = Counter[str]()
    for account in books(5, 120, 80):
        held = account.book.events
        for _ in range(12):
            version = dice.randint(1, len(held))
            day = dice.choice(held).effective_on + timedelta(days=dice.randint(0, 70))
            seen = as_of(held[:version], day)
            moved = Counter[tuple[str, str]]()
            for event in held[:version]:
                for m in movements(event):
                    if m.on <= day:
                        moved[m.figure, m.item] += m.amount_minor
            by = {
                sort: {i: a for (s, i), a in moved.items() if s == sort and a}
                for sort in ("flagged", "unapplied", "pending")
            }
            sums = Sums(items=seen.open_items, unbilled_minor=moved["unbilled", ""], **by)  # type: ignore[arg-type]  # by name
            wanted = figures(seen)
            for figure in FIGURES:
                found = explanation(figure, sums, day)
                assert wanted[figure] == found.value
                parts = sum(part.amount_minor for part in found.parts)
                if figure != "current_activity":
                    assert found.amount_minor == parts + sum(r.amount_minor for r in found.rules)
                    assert figure in DAYS or found.amount_minor == found.value
                met.update(rule.name for rule in found.rules)
    assert {
        "never_below_zero",
        "no_more_than_is_open",
        "covered_by_unapplied_credit",
    } == met.keys(), met


def test_what_is_no_figure_is_not_found(asked: Asked) -> None:
    """A word that names no figure, and a cursor of another figure."""
    number = min(asked.accounts)
    path = f"/v1/accounts/{number}/explain"
    [problem] = asked.all(f"{path}/happiness", expected=404)
    assert "item_unknown" == problem["code"]
    account = max(asked.accounts.values(), key=lambda account: len(account.book.events))
    for figure in FIGURES:
        [page] = asked.all(f"/v1/accounts/{account.number}/explain/{figure}?limit=1")
        if page["next_cursor"]:
            other = "disputed" if figure != "disputed" else "balance"
            query = f"limit=1&cursor={page['next_cursor']}"
            [problem] = asked.all(
                f"/v1/accounts/{account.number}/explain/{other}?{query}", expected=422
            )
            assert "invalid_request" == problem["code"]
            return
    raise AssertionError("no explanation has two pages")
