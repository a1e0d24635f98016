"""A month end before it happens: every invoice that it would issue now, decided and not recorded."""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

import msgspec

from ledger.closing_batch import Claim, RefusedAccount, Stretch, Tally, ask_for, count_refused
from ledger.commands import Request
from ledger.events import InvoiceIssued
from ledger.invoice_totals import InvoiceTotals
from ledger.month_end import Asked
from ledger.store.committer import Ledger
from ledger.store.lanes import LANES
from ledger.store.outcomes import Accepted, Refused

LANES_MAX = 8
"""Lanes a batch is taken from."""
ACTOR = "dry-run"
BEHIND_ALL = 2**63 - 1
"""The position a preview counts from: whatever invoice there is, an earlier run issued it."""
COUNTS = ("issued", "replayed", "nothing_to_bill", "not_due", "refused")
"""What becomes of an account, as the run that follows would count it."""


class PreviewedInvoice(msgspec.Struct, frozen=True):
    """The invoice that an account would get: the very event that would be recorded."""

    account_number: str
    currency: str
    event: InvoiceIssued


Previewed = PreviewedInvoice | RefusedAccount


class Preview:
    """One preview, made as far as it is read; whoever has seen enough just stops.

    Accounts come lane by lane, each as it is when it is looked at: no transaction stays open
    between two batches, nothing is locked and nothing recorded. `counts`, by the names of COUNTS,
    and `totals`, by currency, are of what was read so far.
    """

    def __init__(
        self,
        asked: Asked,
        look: Callable[[Sequence[Claim]], list[Stretch]],
    ) -> None:
        """`look` gives the next accounts behind what is claimed."""
        self.asked = asked
        self.counts = dict.fromkeys(COUNTS, 0)
        self.totals: dict[str, InvoiceTotals] = {}
        self._look = look

    def batches(self, ledger: Ledger) -> Iterator[list[Previewed]]:
        """Invoices and refusals, a batch of accounts at a time, which may hold none of either.

        They are decided by the door to the log, which records nothing.

        Raises StoreUnavailable, LedgerClosed and psycopg's errors.
        """
        left = [Claim(lane, self.asked, ACTOR, BEHIND_ALL, None, 0) for lane in range(LANES)]
        while left:
            claims, left = left[:LANES_MAX], left[LANES_MAX:]
            while True:  # ends: what was done meanwhile is seen the next time
                stretches = self._look(claims)
                found = self._preview(stretches, ledger)
                if found is not None:
                    break
            yield found
            further = [
                stretch.claim._replace(after=stretch.found[-1].account_id)
                for stretch in sorted(stretches, key=attrgetter("claim.lane"))
                if not stretch.is_last
            ]
            left = [*further, *left]

    def _preview(self, stretches: Sequence[Stretch], ledger: Ledger) -> list[Previewed] | None:
        """What a batch comes to; None when an account was changed since it was looked at."""
        asked = [ask_for(stretch, dry_run=True) for stretch in stretches]
        requests = [request for _, asking in asked for request, _, _ in asking]
        outcomes = ledger.handle_now(requests)
        counted = Tally()
        invoices = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Refused):
                if not count_refused(counted, self.asked, request, outcome.refusal):
                    return None
            elif outcome.replayed:  # billed since it was looked at
                counted.replayed += 1
            else:
                counted.issued += 1
                invoices.append(_invoice(request, outcome))
        tallies = [counted, *(tally for tally, _ in asked)]
        for tally in tallies:
            for name in COUNTS:
                self.counts[name] += getattr(tally, name)
        for invoice in invoices:
            self.totals.setdefault(invoice.currency, InvoiceTotals()).add(invoice.event)
        return [*invoices, *(refusal for tally in tallies for refusal in tally.refusals)]


def _invoice(request: Request, accepted: Accepted) -> PreviewedInvoice:
    [recorded] = accepted.events
    assert isinstance(recorded.event, InvoiceIssued), recorded
    assert request.currency is not None, request
    return PreviewedInvoice(request.account_number, request.currency, recorded.event)
