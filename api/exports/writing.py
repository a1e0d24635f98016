"""An export as parts of a file, made while it is read; nothing of it is held but the part at hand."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from api.exports.beancount import Beancount
from api.exports.books import Month, Outline, Reads, Row, Tally, pages
from api.exports.comma_separated import Csv
from api.exports.hledger import Hledger
from api.exports.parquet import Parquet

PARQUET = "application/vnd.apache.parquet"


class Writer(Protocol):
    """Writes one export in one form: head, then the events and balances of each month, then tail."""

    def head(self) -> bytes: ...
    def events(self, month: Month, rows: Sequence[Row]) -> bytes: ...
    def balances(self, month: Month) -> bytes: ...
    def tail(self) -> bytes: ...


class Form(NamedTuple):
    """A form of export: what writes one, its media type, and how names of files end."""

    writer: Callable[[Outline], Writer]
    media_type: str
    suffix: str


FORMS: Mapping[str, Form] = {
    "beancount": Form(Beancount, "text/plain; charset=utf-8", "beancount"),
    "hledger": Form(Hledger, "text/plain; charset=utf-8", "journal"),
    "csv": Form(Csv, "text/csv; charset=utf-8; header=present", "csv"),
    "parquet": Form(Parquet, PARQUET, "parquet"),
}
"""By name."""


async def parts(
    outline: Outline,
    writer: Writer,
    read: Reads,
    progress: Callable[[int], None] = lambda entries: None,
) -> AsyncGenerator[bytes, None]:
    """The file's bytes in order; raises ExportDiffers, and as `read` does, before it is whole.

    Texts are made in a thread: who waits for the loop meanwhile waits no longer than for another.
    """
    yield await asyncio.to_thread(writer.head)
    tally, done = Tally(outline.opening), 0
    for month in outline.months:
        async for rows in pages(month, read):
            tally.add(rows)
            yield await asyncio.to_thread(writer.events, month, rows)
            done += len(rows)
            progress(done)
        tally.close(month)
        yield writer.balances(month)
    yield await asyncio.to_thread(writer.tail)
