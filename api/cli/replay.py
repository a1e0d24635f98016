"""`replay`: folds an account's events in memory, live or as of, and checks that they chain."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date
from typing import Any, TypeVar

import msgspec

from api.amounts import Money, money
from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, Misuse, Refused, Screen
from api.moments import day, instant, position
from api.settings import Settings
from api.wiring import Database
from ledger.account import figures
from ledger.book import Book
from ledger.history import AsOf, as_of
from ledger.store.hashes import first_break_of_account
from ledger.store.lanes import account_id
from ledger.store.mapper import EventMapper
from ledger.store.recorder import EventAt

T = TypeVar("T")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "replay", help="fold an account's events: figures, history, hashes", allow_abbrev=False
    )
    parser.add_argument("account", help="account number")
    parser.add_argument("--effective-on", help="YYYY-MM-DD; the region's today if not given")
    parser.add_argument("--known-at", help="as known then, such as 2020-08-05T09:00:00Z")
    parser.add_argument("--at", help="as known at a position, <lane>-<position>")
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Shows the account; 1 when what is stored contradicts itself. Changes nothing."""
    if given.known_at and given.at:
        raise Misuse("give --known-at or --at, not both")
    with fit_database(settings, given.region) as database:
        region = database.region
        stored = _stored(database, given.account)
    on = parsed("--effective-on", given.effective_on, day) or database.today()
    known = _known(stored, given)
    if not known:
        raise Refused(f"region {region.code} knows no account {given.account}, then or at all")
    faults = [*_broken(stored)]
    mapper = EventMapper()
    book = Book(mapper.read(event.topic, event.state).data for event in known)
    state = as_of(book.events, on)
    faults += _differing(book, state, database.today())
    assert book.account is not None
    shown = _figures(state, book.account.currency)
    rows = [_shown(mapper, event) for event in known]
    for name, value in shown.items():
        screen.say(f"{name}: {text(value)}")
    invoices = _open_invoices(state, book.account.currency)
    screen.table([{name: text(value) for name, value in row.items()} for row in invoices])
    columns = ("position", "version", "type", "effective_on", "recorded_at", "actor")
    screen.table([{name: row[name] for name in columns} for row in rows])
    screen.say(f"hashes of {len(stored)} events: {'they do not chain' if faults else 'they chain'}")
    for fault in faults:
        screen.complain(fault)
    screen.result(
        {
            "account_number": given.account,
            "region": region.code,
            "effective_on": on,
            "version": state.version,
            "position": rows[-1]["position"],
            "figures": shown,
            "settings": state.settings,
            "open_invoices": invoices,
            "events": rows,
            "faults": faults,
        }
    )
    return REFUSED if faults else 0


def _stored(database: Database, account_number: str) -> list[EventAt]:
    """The account's events as the log holds them, by version."""
    with closing(database.log()) as log:
        return list(log.account(account_id(database.region.code, account_number)))


def _known(stored: Sequence[EventAt], given: argparse.Namespace) -> list[EventAt]:
    """Those recorded by the moment asked for."""
    known_at = parsed("--known-at", given.known_at, instant)
    if known_at is not None:
        return [event for event in stored if event.recorded_at <= known_at]
    at = parsed("--at", given.at, position)
    if at is None:
        return list(stored)
    if stored and at[0] != stored[0].lane:
        raise Misuse(f"--at {given.at}: the account is in lane {stored[0].lane}")
    return [event for event in stored if event.position <= at[1]]


def _broken(stored: Sequence[EventAt]) -> list[str]:
    broken = first_break_of_account(stored)
    if broken is None:
        return []
    where = f"version {broken.version}, position {broken.lane}-{broken.position}"
    return [f"{where}: {broken.what}"]


def _differing(book: Book, state: AsOf, today: date) -> list[str]:
    """Where the two folds, of totals and of movements, do not agree on today's figures."""
    assert book.account is not None
    by_totals = figures(book.account, today)
    by_movements = (state if state.effective_on == today else as_of(book.events, today)).standing
    return [
        f"{name}: {getattr(by_totals, name)} by totals, {getattr(by_movements, name)} by movements"
        for name in by_totals.__struct_fields__
        if getattr(by_totals, name) != getattr(by_movements, name)
    ]


def _figures(state: AsOf, currency: str) -> dict[str, Any]:
    """The figures under the names of the HTTP contract."""
    return _with_money(msgspec.structs.asdict(state.standing), currency) | {
        "aging": {
            name: value if name == "oldest_days" else money(value, currency)
            for name, value in msgspec.structs.asdict(state.standing.aging).items()
        }
    }


def _open_invoices(state: AsOf, currency: str) -> list[dict[str, Any]]:
    return [
        {
            "number": item.number,
            "due_on": item.due_on,
            "open_amount": money(item.open_minor, currency),
            "disputed": money(item.disputed_minor, currency),
        }
        for item in state.open_items
    ]


def _shown(mapper: EventMapper, event: EventAt) -> dict[str, Any]:
    body = mapper.read(event.topic, event.state)
    return {
        "position": f"{event.lane}-{event.position}",
        "version": event.version,
        "type": event.topic.partition(":")[0],
        "effective_on": body.data.effective_on,
        "recorded_at": event.recorded_at.astimezone(UTC).isoformat(),
        "actor": body.actor,
        "key": body.key,
        "data": body.data,
        "hash": event.hash.hex(),
    }


def _with_money(values: dict[str, Any], currency: str) -> dict[str, Any]:
    return {
        name.removesuffix("_minor"): money(value, currency) if name.endswith("_minor") else value
        for name, value in values.items()
    }


def text(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, Money):
        return f"{value.amount} {value.currency}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(part)}" for name, part in value.items())
    return "none" if value is None else str(value)


def parsed(option: str, given: str | None, parse: Callable[[str], T]) -> T | None:
    """What an option says; raises Misuse."""
    try:
        return None if given is None else parse(given)
    except ValueError as fault:
        raise Misuse(f"{option}: {fault}") from None
