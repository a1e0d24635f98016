"""What a command shows: results on standard output, progress and complaints on standard error."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

REFUSED = 1
PROGRESS_EVERY_S = 0.5
VIEWS = "the views to follow"
"""What is waited for once the log has what was asked for."""
PACE_AFTER_S = 1.0
"""How long something must have gone on before it is told how fast."""


class Misuse(Exception):
    """The command line asks for something that it cannot mean."""


class Refused(Exception):
    """What was asked for cannot be done; the message says why."""


class Screen:
    """Where a command writes. With `as_json`, standard output holds JSON lines alone."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._progress_at = 0.0
        self._progress_shown = False
        self._progress_began = "", 0.0, 0

    def say(self, text: str) -> None:
        """For people: standard output, or standard error beside JSON."""
        self._end_progress()
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def complain(self, text: str) -> None:
        """What went wrong."""
        self._end_progress()
        print(f"billing-ledger: {text}", file=sys.stderr, flush=True)

    def result(self, result: Any) -> None:
        """For machines: one JSON line; nothing unless JSON was asked for."""
        if self.as_json:
            self.line(result)

    def line(self, result: Any) -> None:
        """One JSON line on standard output, always."""
        self._end_progress()
        print(msgspec.json.encode(result).decode(), flush=True)

    def table(self, rows: Sequence[Mapping[str, object]]) -> None:
        """For people: rows under the names of their columns."""
        if not rows:
            return
        names = list(rows[0])
        cells = [[_cell(row[name]) for name in names] for row in rows]
        widths = [max(len(line[n]) for line in [names, *cells]) for n in range(len(names))]
        for line in [names, *cells]:
            self.say("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())

    def wants_progress(self) -> bool:
        """Whether progress would be shown now: where to find it out takes long, it may wait until then."""
        return time.monotonic() - self._progress_at >= PROGRESS_EVERY_S

    def progress(self, what: str, done: int, total: int) -> None:
        """How far it is, twice a second at most, how fast and how long yet; on a terminal in place."""
        now = time.monotonic()
        if self._progress_began[0] != what:
            self._progress_began = what, now, done
        if not self.wants_progress() and done != total:
            return
        self._progress_at = now
        of = f" of {total:,}" if total else ""
        self._show(f"{what}: {done:,}{of}{self._pace(now, done, total)}")

    def waiting(self, what: str) -> None:
        """What is waited for, where nobody counts how much of it is done."""
        self._show(f"waiting for {what}")

    def _show(self, text: str) -> None:
        in_place = sys.stderr.isatty()
        start, end = ("\r\x1b[K", "") if in_place else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)
        self._progress_shown = in_place

    def _pace(self, now: float, done: int, total: int) -> str:
        _, at, before = self._progress_began
        if now - at < PACE_AFTER_S or not before < done < total:
            return ""
        rate = (done - before) / (now - at)
        left_s = (total - done) / rate
        left = f"{left_s:.0f} s" if left_s < 120 else f"{left_s / 60:.0f} min"
        return f", {rate:,.0f}/s, {left} left"

    def _end_progress(self) -> None:
        if self._progress_shown:
            print(file=sys.stderr, flush=True)
            self._progress_shown = False


def _cell(value: object) -> str:
    return "" if value is None else str(value)
