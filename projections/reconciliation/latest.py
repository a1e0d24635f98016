"""What last became of invoices and payments: rows tell it, and reading as of a day goes by it."""

from datetime import date
from typing import Any

from ledger import events as e
from ledger.movements import Movement
from projections.reconciliation.findings import Findings

_COLUMNS = {
    "invoice": ("moved_position", "moved_on", ""),
    "payment": ("processed_seq", "processed_on", "stage"),
}
_STAGES: dict[type[e.Event], str] = {
    e.PaymentSubmitted: "pending",
    e.PaymentProcessed: "processed",
    e.PaymentFailed: "failed",
    e.PaymentUnprocessed: "pending",
}
State = tuple[int | None, date | None, str | None]
"""Of an invoice, the last position and the latest day that moved it; of a payment, version and day of
its processing, and its stage."""


class Latest:
    """Of one account, while its events go by: what the rows tell (`keep`), and what they should."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._found: dict[tuple[str, str], State] = {}
        self._expected: dict[tuple[str, str], State] = {}
        self._positions: dict[tuple[str, str], int] = {}

    def keep(self, table: str, id: str, state: State) -> None:
        """What a row tells, if its table has such."""
        if table in _COLUMNS:
            self._found[table, id] = state

    def take(self, position: int, version: int, event: Any, moved: list[Movement]) -> None:
        """Follows one event."""
        for figure, item, on, _ in moved:
            if figure in ("open", "flagged"):
                self._move(position, item, on)
        if type(event) is e.InvoiceIssued:
            self._move(position, event.number, event.effective_on)
        elif stage := _STAGES.get(type(event)):
            is_processed = stage == "processed"
            own = (version, event.effective_on) if is_processed else (None, None)
            self._set(position, "payment", event.payment_id, (*own, stage))

    def finish(self) -> None:
        """What rows tell is what became of their things."""
        for key, found in self._found.items():
            expected = self._expected.get(key)
            if expected is None or expected == found:
                continue  # a row of no event is named as such
            table, id = key
            facts = [*zip(_COLUMNS[table], expected, found, strict=True)]
            facts = [fact for fact in facts if fact[1] != fact[2]]
            says = ", ".join(f"{name} is {is_}, not {not_}" for name, not_, is_ in facts)
            first: dict[str, Any] = {"first_position": self._positions[key]}
            self._findings.differs(f"receivables.{table} {id}", facts[0][0], says, **first)

    def _move(self, position: int, number: str, on: date) -> None:
        _, before, _ = self._expected.get(("invoice", number), (None, None, None))
        latest = on if before is None else max(before, on)
        self._set(position, "invoice", number, (position, latest, None))

    def _set(self, position: int, table: str, id: str, state: State) -> None:
        self._expected[table, id] = state
        self._positions[table, id] = position
