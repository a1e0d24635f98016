"""Every row there is, in the order of the report."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.results import Found
from benchmarks.rows.at_scale import at_scale
from benchmarks.rows.billing_day import billing_day
from benchmarks.rows.bulk import bulk_copy, bulk_save
from benchmarks.rows.documents import documents
from benchmarks.rows.growth import growth
from benchmarks.rows.month_end import month_end
from benchmarks.rows.overload import overload
from benchmarks.rows.projection import projection
from benchmarks.rows.replaying import replay
from benchmarks.rows.serving import http, summary
from benchmarks.rows.sizes import large_account
from benchmarks.rows.visible import visible


class Row(NamedTuple):
    """A row: its name, what it measures, and the function that does."""

    name: str
    says: str
    measure: Callable[[Bench, Found], None]


ROWS = (
    Row("bulk-copy", "bulk commands a second, against COPY of the same rows", bulk_copy),
    Row("bulk-save", "the same, against the library's save(), an event a transaction", bulk_save),
    Row("http", "single commands over HTTP, each durable, against an echo of the same body", http),
    Row("projection", "views, against the library's ProjectionRunner on the same rows", projection),
    Row("summary", "GET summary signed in, against hello-world on the same server", summary),
    Row("large-account", "a command on an account with many events, against few", large_account),
    Row("at-scale", "bulk commands on a full ledger, against an empty one", at_scale),
    Row("month-end", "month-end close, 20 lines an account", month_end),
    Row("replay", "replay for audit, in full and of the hash chains alone", replay),
    Row("documents", "invoices of 40 lines set as PDF", documents),
    Row("visible", "from a write to its summary, under 1,000 commands a second", visible),
    Row("overload", "twice what the service can take, for a minute", overload),
    Row("billing-day", "a biller's day over HTTP, alike and with one hot account", billing_day),
    Row("growth", "cost by events, clients and workers; bytes an event; memory", growth),
)
