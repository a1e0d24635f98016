"""`reconcile`: proves that log, write side, receivables and journal agree, and names what does not."""

import argparse
from contextlib import closing

from api.cli.regional import add_json, add_region, chosen, fit_databases
from api.cli.screen import REFUSED, Screen
from api.cli.serve import workers
from api.reconciliations import DifferenceFound, Reconciliations, raise_alarms, shown
from api.settings import Settings
from api.wiring import Database
from ledger.processes import cores
from ledger.store.lanes import LANES
from projections.reconciliation.differences import LaneProof
from projections.reconciliation.reconciling import reconcile

SHOWN_MAX = 100
"""Differences shown to people; all that are kept are in the JSON."""
WORKERS_MAX = 8
"""Processes that are used without being asked for."""
EVENTS_A_WORKER = 50_000
"""What one process proves in about the time that starting another costs, twice."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "reconcile",
        help="prove that log, receivables, journal and invoices agree",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--workers",
        type=workers,
        help=f"processes that work on it; if not given, one for every {EVENTS_A_WORKER:,} events, "
        f"but no more than there are CPUs, nor than {WORKERS_MAX}",
    )
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Proves all regions, or the one named, while writes go on; 1 when anything differs."""
    settings = chosen(settings, given.region) if given.region else settings
    with fit_databases(settings, but_for=("follower",)) as databases:
        differ = [_prove(database, given.workers, screen) for database in databases]
    return REFUSED if any(differ) else 0


def _prove(database: Database, workers: int | None, screen: Screen) -> bool:
    """Whether anything of a region differs."""
    code = database.region.code
    with closing(database.log()) as log:
        events = sum(head.position for head in log.heads())
    workers = workers or max(1, min(cores(), WORKERS_MAX, events // EVENTS_A_WORKER))
    done = 0

    def told(some: int) -> None:
        nonlocal done
        done += some
        screen.progress(f"{code}: events", done, events)

    proofs = []
    with closing(Reconciliations(database.service_url)) as kept:
        for proof in reconcile(database.service_url, told, workers=workers):
            raise_alarms(code, kept.keep(proof))
            proofs.append(proof)
    _tell(code, proofs, screen)
    return any(proof.differences for proof in proofs)


def _tell(code: str, proofs: list[LaneProof], screen: Screen) -> None:
    found = [shown(one) for proof in proofs for one in proof.kept]
    count = sum(proof.differences for proof in proofs)
    events, accounts = sum(p.events for p in proofs), sum(p.accounts for p in proofs)
    screen.table([_row(one) for one in found[:SHOWN_MAX]])
    if count > SHOWN_MAX:
        screen.say(f"... and {count - SHOWN_MAX:,} more")
    says = f"{count:,} {'difference' if count == 1 else 'differences'}" if count else "all agree"
    screen.say(f"{code}: {events:,} events of {accounts:,} accounts in {LANES} lanes: {says}")
    for view in ("receivables", "journal"):
        # Of each lane, for events that could not be read were not counted.
        behind = sum(
            max(0, proof.log_position - getattr(proof, f"{view}_position")) for proof in proofs
        )
        if behind:
            screen.say(f"{code}: {view} had not taken {behind:,} of them yet")
    screen.result(
        {
            "region": code,
            "accounts": accounts,
            "events": events,
            "differences": count,
            "lanes": [
                {
                    "lane": proof.lane,
                    "log_position": proof.log_position,
                    "receivables_position": proof.receivables_position,
                    "journal_position": proof.journal_position,
                    "accounts": proof.accounts,
                    "events": proof.events,
                    "differences": proof.differences,
                }
                for proof in sorted(proofs, key=lambda proof: proof.lane)
            ],
            "found": found,
        }
    )


def _row(one: DifferenceFound) -> dict[str, object]:
    return {
        "account": one.account_number,
        "where": one.where,
        "figure": one.figure,
        "expected": one.expected and one.expected.amount,
        "found": one.found and one.found.amount,
        "event": one.first_event,
        "says": one.says,
    }
