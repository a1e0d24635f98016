"""Runs the rows chosen and reports them: a table for people, JSON for machines."""

import signal
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from api.cli.screen import REFUSED, Misuse, Refused, Screen
from api.settings import Settings
from benchmarks.bench import Bench
from benchmarks.machine import facts, load
from benchmarks.places import place
from benchmarks.registry import ROWS, Row
from benchmarks.results import Found, Result, result, shown


def run(given: Namespace, settings: Settings, screen: Screen) -> int:
    """Measures and reports; 1 when a row is void or short of its aim. Raises Misuse, CannotStart."""
    rows = chosen(given.rows)
    file = Path(given.file) if given.file else None
    if file is not None and not file.parent.is_dir():
        raise Misuse(f"--json {file}: there is no directory {file.parent}")
    with _ended_by_sigterm(), place(given.url, settings.postgres) as at:
        bench = Bench(at, given.scale, given.pairs, given.seconds, screen.progress)
        report = {
            "measured_at": datetime.now(UTC),
            "scale": given.scale,
            "pairs": given.pairs,
            "seconds": given.seconds,
            "machine": facts(at),
        }
        _tell_machine(report["machine"], screen)
        results: list[Result] = []
        for row in rows:
            results.append(measured(row, bench))
            _tell(results[-1], screen)
            if (
                file is not None
            ):  # after every row: a long run that is stopped has told what it found
                _write(file, {**report, "rows": results})
    return REFUSED if any(one.void or one.reached is False for one in results) else 0


def chosen(names: str | None) -> list[Row]:
    """The rows named, in the report's order; all without names. Raises Misuse."""
    wanted = None if names is None else names.split(",")
    known = [row.name for row in ROWS]
    if unknown := sorted(set(wanted or ()) - set(known)):
        raise Misuse(f"--rows: there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return [row for row in ROWS if wanted is None or row.name in wanted]


def measured(row: Row, bench: Bench) -> Result:
    """What the row gives now."""
    found, load_before = Found(), load()
    started = time.perf_counter()
    row.measure(bench, found)
    return result(row.name, row.says, found, time.perf_counter() - started, load_before)


def _write(file: Path, report: dict[str, object]) -> None:
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    except OSError as fault:
        raise Refused(f"cannot write {file}: {fault.strerror}") from fault


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: with it the servers that the run has started."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_machine(machine: Any, screen: Screen) -> None:
    memory = machine["memory_bytes"] / 2**30
    postgresql = machine["postgresql"]
    screen.say(f"{machine['processor']}, {machine['cores']} cores, {memory:.0f} GiB")
    screen.say(f"{machine['system']}; Python {machine['python']}")
    screen.say(", ".join(f"{name} {version}" for name, version in machine["libraries"].items()))
    kind = "embedded" if postgresql["embedded"] else "given"
    kept = ", ".join(f"{n}={v}" for n, v in postgresql.items() if n not in _SHOWN_APART)
    screen.say(f"PostgreSQL {postgresql['server_version']} ({kind}): {kept}")


_SHOWN_APART = ("embedded", "server_version")


def _tell(done: Result, screen: Screen) -> None:
    screen.say("")
    load_before = "" if done.load_before is None else f", load {done.load_before:.1f} before"
    screen.say(f"{done.row}: {done.says} ({done.took_s:.0f} s{load_before})")
    if done.void is not None:
        screen.say(f"void: {done.void}")
    screen.table(
        [
            {
                "": {True: "ok", False: "SHORT", None: ""}[None if done.void else one.reached],
                "figure": one.name,
                "value": f"{shown(one.value)} {one.unit}",
                "aim": one.aim,
                "pairs": one.spread,
            }
            for one in done.figures
        ]
    )
    for note in done.notes:
        screen.say(f"- {note}")
