"""Write-offs: open amounts given up as bad debt, until a later payment recovers them."""

from collections.abc import Iterator
from datetime import date

import msgspec

from ledger.account import Account
from ledger.allocation import needs_after_reopening
from ledger.commands import ReverseWriteOff, WriteOffInvoice
from ledger.deciding import Deciding
from ledger.errors import AlreadyReversed, InvoiceNotOpen, WriteOffRecovered
from ledger.events import InvoiceWrittenOff, WriteOffReversed
from ledger.fold import Fold, latest
from ledger.items import InvoiceItem, WriteOffItem
from ledger.needs import Known, Named, Query


def needs_write_off(
    account: Account, known: Known, command: WriteOffInvoice, today: date
) -> Iterator[Query]:
    yield Named("write_off", command.write_off_id)
    yield from needs_after_reopening(account, known, (command.invoice,), 0)


def decide_write_off(deciding: Deciding, command: WriteOffInvoice) -> None:
    deciding.refuse_taken(WriteOffItem, command.write_off_id)
    invoice = deciding.item(InvoiceItem, command.invoice)
    amount_minor = command.amount_minor or invoice.open_minor
    if not 0 < amount_minor <= invoice.open_minor:
        raise InvoiceNotOpen(
            invoice=invoice.id, open_minor=invoice.open_minor, amount_minor=amount_minor
        )
    deciding.record(
        InvoiceWrittenOff(
            effective_on=deciding.effective(
                command.effective_on, ("the invoice's open amount", invoice.grown_on)
            ),
            write_off_id=command.write_off_id,
            invoice=invoice.id,
            amount_minor=amount_minor,
            reason=command.reason,
        )
    )


def evolve_written_off(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, InvoiceWrittenOff)
    invoice = fold.invoice(event.invoice)
    fold.put(
        msgspec.structs.replace(
            invoice,
            open_minor=invoice.open_minor - event.amount_minor,
            written_off_minor=invoice.written_off_minor + event.amount_minor,
            written_off_on=latest(invoice.written_off_on, event.effective_on),
        )
    )
    fold.put(
        WriteOffItem(
            id=event.write_off_id,
            seq=fold.version,
            effective_on=event.effective_on,
            invoice=event.invoice,
            amount_minor=event.amount_minor,
        )
    )
    fold.move("written_off_minor", event.amount_minor)


def needs_reverse(
    account: Account, known: Known, command: ReverseWriteOff, today: date
) -> Iterator[Query]:
    yield Named("write_off", command.write_off_id)
    write_off = known.items.get(("write_off", command.write_off_id))
    if isinstance(write_off, WriteOffItem):
        reopened = (write_off.invoice,)
        yield from needs_after_reopening(account, known, reopened, write_off.amount_minor)


def decide_reverse(deciding: Deciding, command: ReverseWriteOff) -> None:
    write_off = deciding.item(WriteOffItem, command.write_off_id)
    if write_off.reversed:
        raise AlreadyReversed(kind="write_off", id=write_off.id)
    invoice = deciding.item(InvoiceItem, write_off.invoice)
    amount_minor = min(write_off.amount_minor, invoice.written_off_minor)
    if not amount_minor:
        raise WriteOffRecovered(write_off_id=write_off.id)
    deciding.record_settled(
        WriteOffReversed(
            effective_on=deciding.effective(
                command.effective_on, ("the write-off", write_off.effective_on)
            ),
            write_off_id=write_off.id,
            invoice=invoice.id,
            amount_minor=amount_minor,
            reason=command.reason,
        )
    )


def evolve_reversed(fold: Fold) -> None:
    event = fold.event
    assert isinstance(event, WriteOffReversed)
    invoice = fold.invoice(event.invoice)
    fold.put(
        msgspec.structs.replace(
            invoice,
            open_minor=invoice.open_minor + event.amount_minor,
            written_off_minor=invoice.written_off_minor - event.amount_minor,
            reopened_on=latest(invoice.reopened_on, event.effective_on),
        )
    )
    write_off = fold.find("write_off", event.write_off_id)
    assert isinstance(write_off, WriteOffItem), event
    fold.put(msgspec.structs.replace(write_off, reversed=True))
    fold.move("written_off_minor", -event.amount_minor)
