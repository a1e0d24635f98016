"""What is read of an account's items equals what all items in memory would give."""

import random
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
import pytest

from ledger.items import (
    AllocationItem,
    CarriedItem,
    ChargeItem,
    CreditItem,
    InvoiceItem,
    Item,
    PaymentItem,
    Ref,
)
from ledger.needs import (
    ITEMS_MAX,
    AllocationsOf,
    AllocationsTo,
    Named,
    OpenInvoices,
    PaidPayments,
    Query,
    SpareSources,
    WrittenOffInvoices,
    answered_from,
)
from ledger.store import held as held_module
from ledger.store.append import AccountRow, Batch, EventRow, item_row
from ledger.store.connection import OneConnection
from ledger.store.held import Held
from ledger.store.lanes import account_id, lane_of
from ledger.store.reads import Place, Reads, Wanted
from ledger.store.recorder import LaneRecorder
from tests.store.databases import US, Database

SEED = 61_11
FIRST = date(2020, 1, 1)
READS_MAX = 12


@pytest.fixture
def recorder(database: Database) -> Iterator[LaneRecorder]:
    datastore = OneConnection(database.writer)
    yield LaneRecorder(datastore)
    datastore.close()


def store(recorder: LaneRecorder, number: str, items: list[Item]) -> Place:
    """Stores an account that has just these items."""
    id = account_id(US.code, number)
    batch = Batch()
    batch.accounts.append(AccountRow(lane_of(id), id, 0, number, 1, b"{}", bytes(32)))
    batch.events.add(1, [EventRow(1, "made:1", b"{}", bytes(32))])
    batch.items.add(1, [item_row(item, 1) for item in items])
    recorder.append(batch)
    return lane_of(id), id


def ask(reads: Reads, held: Held, place: Place, query: Query, commands: int = 1) -> list[Item]:
    """The answer, read as often as it takes."""
    for _ in range(READS_MAX):
        items = held.answer(query)
        if items is not None:
            return items
        named = [query] if isinstance(query, Named) else []
        ranges = [] if isinstance(query, Named) else [query]
        reads.more([Wanted(place, 1, held, named, ranges, commands)])
    raise AssertionError(f"{query} takes more than {READS_MAX} reads")


def made_up_item(rng: random.Random, seq: int) -> Item:
    """An item with amounts that put it into ranges or keep it out of them."""
    day = FIRST + timedelta(days=rng.randrange(60))
    some = rng.choice((0, 0, rng.randrange(1, 500)))
    other = rng.choice((0, rng.randrange(1, 500)))
    flagged = rng.choice((0, 0, rng.randrange(600)))
    match rng.randrange(7):
        case 0 | 1 | 2:
            return InvoiceItem(
                id=f"I{seq}", seq=seq, issued_on=FIRST, due_on=day, total_minor=1_000,
                open_minor=some, flagged_minor=flagged, written_off_minor=other,
            )  # fmt: skip  # an item a line
        case 3:
            return PaymentItem(
                id=f"P{seq}", seq=seq, status="processed", submitted_minor=500, pending_from=day,
                pay="amount", method="card", unapplied_minor=some, allocated_minor=other,
            )  # fmt: skip  # an item a line
        case 4:
            return CreditItem(
                id=f"K{seq}", seq=seq, effective_on=day, amount_minor=500, applies_to="account",
                unapplied_minor=some, allocated_minor=other,
            )  # fmt: skip  # an item a line
        case 5:
            return CarriedItem(id=f"I{seq}", seq=seq, issued_on=day, unapplied_minor=some)
        case _:
            return AllocationItem(
                id=f"{seq}.0", seq=seq, source=f"payment:P{rng.randrange(3)}",
                invoice=f"I{rng.randrange(3)}", amount_minor=some, on=day,
            )  # fmt: skip  # an item a line


def changed(rng: random.Random, item: Item) -> Item:
    """The item as a command might leave it."""
    other = made_up_item(rng, item.seq)
    while type(other) is not type(item):
        other = made_up_item(rng, item.seq)
    fields = {name: getattr(other, name) for name in other.__struct_fields__ if "minor" in name}
    return msgspec.structs.replace(item, **fields)


def made_up_query(rng: random.Random, items: dict[Ref, Item]) -> Query:
    """A query whose amounts are reached early, late, exactly or never."""
    amount = rng.choice((0, 1, rng.randrange(1_500), rng.randrange(8_000), 2**62))
    invoices = [item.id for item in items.values() if isinstance(item, InvoiceItem)]
    without = tuple(sorted(rng.sample(invoices, min(len(invoices), rng.choice((0, 0, 2))))))
    kind, id = rng.choice([*items, ("invoice", "none")])
    return rng.choice(
        (
            OpenInvoices(amount, rng.choice((0, rng.randrange(2_000), 2**62)), without),
            SpareSources(amount),
            WrittenOffInvoices(amount),
            PaidPayments(amount),
            AllocationsOf(f"payment:P{rng.randrange(4)}", amount),
            AllocationsTo(f"I{rng.randrange(4)}"),
            Named(kind, id),
        )
    )


def compare(recorder: LaneRecorder) -> int:
    """Asks made-up queries of made-up items, alone, and again and again while a flush changes and
    adds items; asserts that every answer equals `answered_from` on all items."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    reads = Reads(recorder.datastore)
    asked = 0
    for n in range(25):
        made = [made_up_item(rng, seq) for seq in range(rng.choice((0, 3, 30, 160)))]
        place = store(recorder, f"R-{n}", made)
        items: dict[Ref, Item] = {item.ref: item for item in made}
        for _ in range(12):
            query = made_up_query(rng, items)
            alone = Held(nothing_stored=False)
            assert ask(reads, alone, place, query) == answered_from(items, query), query
        held = Held(nothing_stored=False)
        for step in range(40):
            query = made_up_query(rng, items)
            got = ask(reads, held, place, query, commands=rng.choice((1, 1, 5)))
            assert got == answered_from(items, query), (n, step, query)
            touched = [changed(rng, item) for item in got[: rng.randrange(4)]]
            if rng.random() < 0.3:
                touched.append(made_up_item(rng, 1_000 + step))
            held.change(touched)
            items.update({item.ref: item for item in touched})
            asked += 1
    return asked


def test_every_query_is_answered_as_from_memory(recorder: LaneRecorder) -> None:
    """Every answer from the database and from what a flush holds is the defined one."""
    assert compare(recorder) == 1_000


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (
            "i.open_minor > 0\n                ORDER BY i.due_on, i.seq",
            "i.open_minor > 0 ORDER BY i.seq",
        ),
        ("i.written_off_minor > 0", "i.written_off_minor > 100"),
        (
            "i.allocated_minor > 0\n                ORDER BY i.seq DESC",
            "i.allocated_minor > 0 ORDER BY i.seq",
        ),
        ("AND i.source = r_of[place]", "AND i.source < r_of[place]"),
    ],
)
def test_a_wrong_range_is_seen(
    recorder: LaneRecorder, database: Database, right: str, wrong: str
) -> None:
    """A range read in another order or of other rows fails the comparison."""
    database.plant("read_ranges", right, wrong)
    with pytest.raises(AssertionError):
        compare(recorder)


def test_trusting_too_much_memory_is_seen(
    recorder: LaneRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer taken from items past the part of a range that was read fails the comparison."""
    monkeypatch.setattr(held_module, "_within", lambda query, items, start: True)
    with pytest.raises(AssertionError):
        compare(recorder)


def test_a_range_ends_at_its_limit(recorder: LaneRecorder) -> None:
    """Ranges that hold more than a command may read are cut where `answered_from` cuts them."""
    made: list[Item] = []
    for seq in range(ITEMS_MAX + 20):
        day = FIRST + timedelta(days=seq % 40)
        made.append(
            InvoiceItem(
                id=f"I{seq}", seq=seq, issued_on=FIRST, due_on=day, total_minor=9, open_minor=5
            )
        )
        made.append(
            AllocationItem(
                id=f"{seq}.0", seq=seq, source="payment:P1", invoice="I1", amount_minor=4, on=day
            )
        )
    place = store(recorder, "R-big", made)
    items = {item.ref: item for item in made}
    reads = Reads(recorder.datastore)
    for query in (
        OpenInvoices(2**62, 2**62),
        OpenInvoices(5 * ITEMS_MAX - 3, 0),
        AllocationsOf("payment:P1", 2**62),
        AllocationsTo("I1"),
    ):
        held = Held(nothing_stored=False)
        got = ask(reads, held, place, query)
        assert got == answered_from(items, query), query
        assert len(got) == ITEMS_MAX, query


def test_a_new_account_is_not_read(recorder: LaneRecorder) -> None:
    """Of an account that nothing is stored of, every query is answered at once."""
    held = Held(nothing_stored=True)
    rng = random.Random(SEED)
    item = ChargeItem(id="c", seq=1, effective_on=FIRST, amount_minor=1, category="x")
    for _ in range(200):
        assert held.answer(made_up_query(rng, {item.ref: item})) == []
