"""Holds a database against what was said of it: every claim of the harness, counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from uuid import UUID

import psycopg

from ledger.book import Book
from ledger.money import decimal_text
from ledger.movements import movements
from ledger.store.lanes import account_id
from ledger.store.log import Log
from ledger.store.mapper import Recorded
from ledger.store.roles import AUDITOR, acting_as
from projections.follower import Follower
from projections.receivables import RECEIVABLES
from tests.api.consumer import read_journal
from tests.faults.clients import FIGURES
from tests.faults.history import Command, Figures, Transaction, anomalies
from tests.projections.views import views_differ

SETTLE_LIMIT_S = 60.0
_KEYS = b"SELECT k.account_id, k.key, k.first_version, k.last_version FROM ledger.command_key AS k"


@dataclass
class Verdict:
    """What was found; all is well when every count of `wrong` is 0."""

    events: int = 0
    acknowledged: int = 0
    transactions: int = 0
    tailed: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    says: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """What was counted, and how much of it was wrong, by kind."""
        kinds = ("lost", "doubled", "missed", "differences", "anomalies")
        return {n: v for n, v in asdict(self).items() if isinstance(v, int)} | {
            kind: self.wrong[kind] for kind in kinds
        }

    def note(self, kind: str, says: object, count: int = 1) -> None:
        """Counts what is wrong; the first of it is kept to be told."""
        self.wrong[kind] += count
        if len(self.says) < 20:
            self.says.append(f"{kind}: {says}")


class Judge:
    """Reads the log once; each check adds to the verdict."""

    def __init__(self, service_url: str, account_numbers: Iterable[str]) -> None:
        self.verdict = Verdict()
        self._url = service_url
        self.recorded: dict[str, list[Recorded]] = {}
        with closing(Log(acting_as(service_url, AUDITOR))) as log:
            self._hashes = {
                f"{event.lane}-{event.position}": event.hash.hex()
                for head in log.heads()
                for event in log.lane(head.lane)
            }
            for number in account_numbers:
                events = log.account(account_id("us", number))
                self.recorded[number] = [log.recorded(event) for event in events]
            broken = log.first_break()
        self.verdict.events = len(self._hashes)
        if broken is not None:
            self.verdict.note("anomalies", f"history breaks: {broken}")
        self._keys()

    def _keys(self) -> None:
        """Every key was used once, for the events that name it, and no event is without one."""
        used = defaultdict[tuple[UUID, str], list[tuple[int, int]]](list)
        with psycopg.connect(acting_as(self._url, AUDITOR)) as connection:
            for id, key, first, last in connection.execute(_KEYS):
                used[id, key].append((first, last))
        for number, recorded in self.recorded.items():
            id = account_id("us", number)
            for key, events in groupby(recorded, attrgetter("key")):
                versions = [one.version for one in events]
                if used[id, key] != [(versions[0], versions[-1])]:
                    self.verdict.note("doubled", f"{number} {key}: {used[id, key]} for {versions}")

    def clients(self, history: Sequence[Transaction]) -> None:
        """What was acknowledged is stored, once; what was seen there has been, in one order."""
        verdict = self.verdict
        verdict.transactions = len(history)
        verdict.acknowledged = sum(isinstance(t, Command) and t.last > 0 for t in history)
        keys = {number: [r.key for r in recorded] for number, recorded in self.recorded.items()}
        for name, count in anomalies(history, keys).items():
            kind = name if name in ("lost", "doubled") else "anomalies"
            verdict.note(kind, name, count)
        figures = {number: figures_by_version(r) for number, r in self.recorded.items()}
        for transaction in history:
            shown, known = transaction.figures, figures[transaction.account]
            if transaction.last >= len(known) or shown in (None, known[transaction.last]):
                continue
            folded = known[transaction.last]
            verdict.note("differences", f"{transaction} shows {shown}, not {folded}")

    def views(self) -> None:
        """Every view equals the fold of its account's events, and no account is parked."""
        with closing(Follower(self._url, RECEIVABLES)) as follower:
            follower.catch_up(timeout_s=SETTLE_LIMIT_S)
            for parked in follower.parked():
                self.verdict.note("differences", parked)
        for difference in views_differ(self._url, self.books()):
            self.verdict.note("differences", difference)

    def books(self) -> Mapping[UUID, Book]:
        """The fold of every account."""
        return {
            account_id("us", number): Book(one.event for one in recorded)
            for number, recorded in self.recorded.items()
        }

    def consumer(self, journal: Path) -> None:
        """A consumer of the feed has seen every event once, each account's in order."""
        verdict, seen, versions = self.verdict, Counter[str](), defaultdict[str, int](int)
        for taken in read_journal(journal):
            for event in taken.events:
                seen[event["position"]] += 1
                versions[event["account_number"]] += 1
                if event["version"] != versions[event["account_number"]]:
                    verdict.note("anomalies", f"the feed gave version {event['version']} too early")
                if self._hashes.get(event["position"]) != event["hash"]:
                    verdict.note("anomalies", f"the feed gave another event {event['position']}")
        verdict.tailed += seen.total()
        if missed := len(self._hashes.keys() - seen.keys()):
            verdict.note("missed", f"{journal.name} has not {missed} events", missed)
        if doubled := seen.total() - len(seen):
            verdict.note("doubled", f"{journal.name} has {doubled} events again", doubled)


def figures_by_version(recorded: Sequence[Recorded]) -> list[Figures]:
    """The figures after each version, from 0: the sums of what the events move."""
    sums: Counter[str] = Counter()
    found = [_figures(sums)]
    for one in recorded:
        for movement in movements(one.event):
            sums[movement.figure] += movement.amount_minor
        found.append(_figures(sums))
    return found


def _figures(sums: Mapping[str, int]) -> Figures:
    minor = {
        "balance": sums["open"] - sums["unapplied"],
        "current_activity": sums["unbilled"],
        "pending_payments": sums["pending"],
    }
    return tuple(decimal_text(minor[name], "USD") for name in FIGURES)
