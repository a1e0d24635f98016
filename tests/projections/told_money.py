"""What lists of payments, credits, refunds and the like must say on a day, told from the events."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from ledger import events as e
from tests.projections.told_lines import Known, Lines, Owed, Row, built, newest_first


class Sources:
    """What was left, allocated and refunded of each source of money on a day."""

    def __init__(self, known: Iterable[Known], day: date) -> None:
        self.left: defaultdict[str, int] = defaultdict(int)
        self.refunded: defaultdict[str, int] = defaultdict(int)
        self._allocated: dict[tuple[int, int], dict[str, Any]] = {}
        self._day = day
        for one in known:
            self._allocate(one)
            if one.event.effective_on <= day:
                self._take(one.event)

    def _allocate(self, one: Known) -> None:
        for undoing in getattr(one.event, "undone", ()):
            if undoing.on <= self._day:
                version, n = map(int, undoing.allocation.split("."))
                self._allocated[version, n]["amount_minor"] -= undoing.amount_minor
                self.left[undoing.source] += undoing.amount_minor
        for n, put in enumerate(getattr(one.event, "allocations", ())):
            if put.on <= self._day:
                self.left[put.source] -= put.amount_minor
                self._allocated[one.version, n] = {
                    "source": put.source,
                    "invoice": put.invoice,
                    "amount_minor": put.amount_minor,
                    "recovered_minor": put.recovered_minor,
                    "effective_on": put.on,
                }

    def _take(self, event: Any) -> None:
        match event:
            case e.PaymentProcessed() | e.PaymentReinstated():
                self.left[f"payment:{event.payment_id}"] += event.amount_minor
            case e.PaymentUnprocessed():
                self.left[f"payment:{event.payment_id}"] -= event.amount_minor
            case e.PaymentReturned():
                owed = event.debit.amount_minor if event.debit else 0
                self.left[f"payment:{event.payment_id}"] -= event.amount_minor - owed
            case e.CreditIssued() if event.applies_to != "next_invoice":
                self.left[f"credit:{event.credit_id}"] += _with_tax(event)
            case e.CreditReversed() if event.applies_to != "next_invoice":
                self.left[f"credit:{event.credit_id}"] -= _with_tax(event)
            case e.InvoiceIssued():
                self.left[f"carried:{event.number}"] += event.carried_minor
            case e.InvoiceCancelled():
                self.left[f"carried:{event.number}"] -= event.carried_minor
            case e.RefundIssued() | e.RefundReversed():
                sign = 1 if isinstance(event, e.RefundIssued) else -1
                for draw in event.drawn:
                    self.left[draw.source] -= sign * draw.amount_minor
                    self.refunded[draw.source] += sign * draw.amount_minor

    def allocations(self, column: str, value: str, *shown: str) -> list[Row]:
        """What is left of allocations of a source or to an invoice, in the order they count."""
        found = sorted(self._allocated.items(), key=lambda one: (one[1]["effective_on"], one[0]))
        return [
            {name: allocation[name] for name in shown}
            for _, allocation in found
            if allocation[column] == value and allocation["amount_minor"]
        ]

    def of(self, source: str) -> Row:
        """The columns of a payment or credit that are about its money."""
        allocations = self.allocations("source", source, "invoice", "amount_minor", "effective_on")
        return {
            "refunded_minor": self.refunded[source],
            "unapplied_minor": self.left[source],
            "allocations": [{**a, "effective_on": str(a["effective_on"])} for a in allocations],
        }


def _with_tax(event: Any) -> int:
    return int(event.amount_minor + sum(tax.amount_minor for tax in event.taxes))


def payments(known: list[Known], day: date) -> list[Row]:
    """The payments submitted by the day, each as far as it had come."""
    rows: dict[str, Row] = {}
    for one in known:
        event = one.event
        if event.effective_on > day or not hasattr(event, "payment_id"):
            continue
        if isinstance(event, e.PaymentSubmitted):
            rows[event.payment_id] = {
                "payment_id": event.payment_id,
                "seq": one.version,
                "status": "pending",
                "pay": event.pay,
                "invoice": event.invoice,
                "amount_minor": event.amount_minor,
                "processed_minor": 0,
                "returned_minor": 0,
                "method": event.method,
                "reference": event.reference,
                "reason": None,
                "effective_on": event.effective_on,
                "recorded_at": one.recorded_at,
                "submitted_on": event.effective_on,
            }
        elif not isinstance(event, e.RefundIssued):
            _advance(rows[event.payment_id], event)
    sources = Sources(known, day)
    for id, row in rows.items():
        row |= sources.of(f"payment:{id}")
        del row["submitted_on"]
        if row["returned_minor"]:
            row["status"] = "returned"
    return newest_first(rows.values())


def _advance(row: Row, event: Any) -> None:
    match event:
        case e.PaymentProcessed():
            row["status"], row["effective_on"] = "processed", event.effective_on
            row["processed_minor"] += event.amount_minor
            row["reference"] = event.reference or row["reference"]
        case e.PaymentFailed():
            row["status"], row["effective_on"] = "failed", row["submitted_on"]
            row["reason"] = event.reason
        case e.PaymentUnprocessed():
            row["status"], row["effective_on"] = "pending", row["submitted_on"]
            row["processed_minor"] -= event.amount_minor
        case e.PaymentReturned():
            row["returned_minor"] += event.amount_minor
            row["reason"] = event.reason
        case e.PaymentReinstated():
            row["returned_minor"] -= event.amount_minor


def _ended(known: Iterable[Known], day: date, kind: type, id: str) -> dict[str, Any]:
    """The events of a kind that count on a day, by the id of what they end."""
    return {
        getattr(one.event, id): one.event
        for one in known
        if isinstance(one.event, kind) and one.event.effective_on <= day
    }


def _made(one: Known, *names: str) -> Row:
    row = {name: built(getattr(one.event, name)) for name in names}
    return row | {
        "seq": one.version,
        "effective_on": one.event.effective_on,
        "recorded_at": one.recorded_at,
    }


def _reversal(event: Any) -> Row:
    return {
        "status": "reversed" if event else "issued",
        "reversed_on": event.effective_on if event else None,
        "reversed_reason": event.reason if event else None,
    }


def credits(known: list[Known], day: date) -> list[Row]:
    """The credits issued by the day."""
    ended = _ended(known, day, e.CreditReversed, "credit_id")
    sources = Sources(known, day)
    lines = {line.id: line for line in Lines(known).lines if line.kind == "credit"}
    rows = []
    for one in known:
        event = one.event
        if isinstance(event, e.CreditIssued) and event.effective_on <= day:
            names = ("credit_id", "amount_minor", "taxes", "applies_to", "dispute_id", "reason")
            line = lines.get(event.credit_id)
            rows.append(
                {
                    **_made(one, *names),
                    "total_minor": _with_tax(event),
                    "invoice": line.invoice(day) if line else event.invoice,
                    **sources.of(f"credit:{event.credit_id}"),
                    **_reversal(ended.get(event.credit_id)),
                }
            )
    return newest_first(rows)


def refunds(known: list[Known], day: date) -> list[Row]:
    """The refunds issued by the day."""
    ended = _ended(known, day, e.RefundReversed, "refund_id")
    names = ("refund_id", "amount_minor", "payment_id", "method", "reason", "drawn")
    return newest_first(
        {**_made(one, *names), **_reversal(ended.get(one.event.refund_id))}
        for one in known
        if isinstance(one.event, e.RefundIssued) and one.event.effective_on <= day
    )


def write_offs(known: list[Known], day: date) -> list[Row]:
    """The write-offs by the day; recoveries are spread over them, the oldest first."""
    ended = _ended(known, day, e.WriteOffReversed, "write_off_id")
    recovered = Owed(known, day).recovered
    rows = []
    for one in known:
        event = one.event
        if isinstance(event, e.InvoiceWrittenOff) and event.effective_on <= day:
            reversal = ended.get(event.write_off_id)
            reversed_minor = reversal.amount_minor if reversal else 0
            part = min(recovered[event.invoice], event.amount_minor - reversed_minor)
            recovered[event.invoice] -= part
            rows.append(
                {
                    **_made(one, "write_off_id", "invoice", "amount_minor", "reason"),
                    **_reversal(reversal),
                    "reversed_minor": reversed_minor,
                    "recovered_minor": part,
                }
            )
    return newest_first(rows)


def disputes(known: list[Known], day: date) -> list[Row]:
    """The disputes opened by the day."""
    ended = _ended(known, day, e.DisputeResolved, "dispute_id")
    rows = []
    for one in known:
        if isinstance(one.event, e.DisputeOpened) and one.event.effective_on <= day:
            over = ended.get(one.event.dispute_id)
            rows.append(
                {
                    **_made(one, "dispute_id", "invoice", "amount_minor", "reason"),
                    "status": over.outcome if over else "open",
                    "resolved_on": over.effective_on if over else None,
                    "credit_id": over.credit_id if over else None,
                }
            )
    return newest_first(rows)


def messages(known: list[Known], day: date, texts: dict[str, str]) -> list[Row]:
    """The messages by the day, with their texts."""
    return newest_first(
        {**_made(one, "message_id", "digest"), "body": texts[one.event.message_id]}
        for one in known
        if isinstance(one.event, e.MessagePosted) and one.event.effective_on <= day
    )
