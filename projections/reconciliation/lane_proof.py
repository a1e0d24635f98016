"""A lane proved: each of its accounts in turn, then what is a sum over accounts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal

from ledger.store.mapper import EventMapper
from projections.journal.entries import CONTROLS
from projections.model import Connection
from projections.reconciliation.account_proof import AccountProof
from projections.reconciliation.books import Books, PositionLost, RowUnreadable, ViewsReplaced
from projections.reconciliation.differences import Difference, LaneProof
from projections.reconciliation.streams import Row

TOLD_EVERY = 2_000
"""Events between two tellings of progress."""
SUM_MINOR_MAX = 2**126
"""No sum is of more than 2**63 amounts of 63 bits each; PostgreSQL has numbers too long to be told."""


def prove_lane(connection: Connection, lane: int, told: Callable[[int], None]) -> LaneProof:
    """What is found of a lane at the moment that the open transaction sees.

    `told` is given numbers of events as they are held against the books. Raises ViewsReplaced.
    """
    try:
        opened = Books(connection, lane)
    except PositionLost as fault:
        return _nothing_of(lane, fault)
    with closing(opened) as books:
        accounts = events = 0
        try:
            with connection.transaction():  # what the database refuses to read ends this alone
                books.begin()
                accounts, events = _prove_accounts(books, told)
                _check_positions(books, events)
                _check_strays(books)
                _check_sums(books)
                _check_days(books)
        except RowUnreadable as fault:
            says = f"one cannot be read: {fault.says}; the rest of the lane is not proved"
            books.differs(str(fault), "row", says)
        if books.replaced():
            raise ViewsReplaced
    return LaneProof(
        lane=lane,
        seen_at=books.seen_at,
        log_position=books.log_position,
        receivables_position=books.receivables_position,
        journal_position=books.journal_position,
        accounts=accounts,
        events=events,
        differences=books.differences.count,
        kept=tuple(books.differences.kept),
    )


def _nothing_of(lane: int, fault: PositionLost) -> LaneProof:
    """That nothing of a lane could be proved, and why."""
    difference = Difference(
        lane=lane,
        account_number=None,
        currency=None,
        where=str(fault),
        figure="row",
        says="there is no row that says how far it is; nothing of the lane is proved",
    )
    return LaneProof(
        lane=lane,
        seen_at=fault.seen_at,
        log_position=0,
        receivables_position=0,
        journal_position=0,
        accounts=0,
        events=0,
        differences=1,
        kept=(difference,),
    )


def _prove_accounts(books: Books, told: Callable[[int], None]) -> tuple[int, int]:
    """Every account with an event; how many there are, and how many events."""
    proof, current, mapper = None, b"", EventMapper()
    accounts = events = 0
    for row in books.events:
        if row[0] != current:
            if proof is not None:
                proof.finish()
            current = row[0]
            proof = AccountProof(books, current, mapper)
            accounts += 1
        assert proof is not None
        proof.take(row)
        events += 1
        if events % TOLD_EVERY == 0:
            told(TOLD_EVERY)
    if proof is not None:
        proof.finish()
    told(events % TOLD_EVERY)
    return accounts, events


def _check_positions(books: Books, events: int) -> None:
    """The lane's positions have no gap: as many events as its head says, and no view is past it."""
    head = books.log_position
    for model in ("receivables", "journal"):
        position = getattr(books, f"{model}_position")
        if position > head:
            says = f"the position is {position}, and the log ends at {head}"
            books.differs(f"{model}.tracking", "position", says, first_position=head)
    if books.is_head_timed is False:
        says = "the head does not tell the instant of its last event, and no event is earlier"
        books.differs("ledger.lane_head", "recorded_at", says, first_position=head)
    if events == head:
        return
    [(first, missing)] = books.rows("gap", head=head)
    says = f"the head says {head}, and there are {events} events; {missing} are missing"
    books.differs("ledger.event", "positions", says, first_position=first)


def _check_strays(books: Books) -> None:
    """Nothing is left of accounts that no event is of."""
    for where, stream in books.streams:
        books.strays(where, stream.rest())
    parked = {
        "receivables.parked": books.receivables_parked,
        "journal.parked": books.journal_parked,
    }
    for where, rows in (books.by_account | parked).items():
        for account_id in rows:
            says = "the row is of an account that the log has no event of"
            books.differs(where, "row", says, account_number=books.number_of(account_id))


def _check_days(books: Books) -> None:
    """The first position of each day is that of the first event taken that was recorded on it."""
    if books.has_unread:
        return
    for model, expected in books.lane_days.items():
        found = dict(books.rows(f"{model}_lane_days"))
        for day in sorted(expected.keys() | found.keys()):
            first, has = expected.get(day), found.get(day)
            if first != has:
                says = f"the first position of {day} is {has}, not {first}"
                books.differs(f"{model}.lane_day", "first_position", says, first_position=first)


def _check_sums(books: Books) -> None:
    """The journal's sums are those of its entries, by day and by month."""
    _hold(books, "journal.daily", books.sums, _kept(books, "sums"), _of_day)
    months = _kept(books, "sums_by_month")
    _hold(books, "journal.monthly", _by_month(books.sums), months, _of_month)


def _kept(books: Books, block: str) -> dict[Row, list[int]]:
    """Entries, debits and credits of each sum that the journal keeps; raises RowUnreadable."""
    found = {}
    for *key, entries, debit_minor, credit_minor in books.rows(block):
        try:
            amounts = [_whole(debit_minor), _whole(credit_minor)]
        except (ValueError, OverflowError) as fault:
            raise RowUnreadable(block, fault) from fault
        found[tuple(key)] = [entries, *amounts]
    return found


def _whole(amount_minor: Decimal) -> int:
    """A sum of minor units; raises ValueError and OverflowError for what no entries come to."""
    found = int(amount_minor)
    if found != amount_minor or abs(found) > SUM_MINOR_MAX:
        raise ValueError(f"{amount_minor} is no sum of minor units")
    return found


def _by_month(sums: Mapping[Row, list[int]]) -> dict[Row, list[int]]:
    """What sums by day come to by month; the position is that of the last entry."""
    months: dict[Row, list[int]] = {}
    for (currency, account, _, on, period, day), (*added, position) in sums.items():
        key = (currency, account, on.replace(day=1), period, day.replace(day=1))
        *had, last = months.get(key, (0, 0, 0, 0))
        months[key] = [*map(sum, zip(had, added, strict=True)), max(last, position)]
    return months


def _hold(
    books: Books,
    where: str,
    sums: Mapping[Row, list[int]],
    found: Mapping[Row, list[int]],
    told: Callable[[Row], str],
) -> None:
    """Each sum is as it should be; debits equal credits; control accounts tie."""
    debits, controls = Counter[str](), Counter[tuple[str, str]]()
    for key in sorted(sums.keys() | found.keys()):
        currency, account, *_ = key
        *expected, position = sums.get(key, [0, 0, 0, 0])
        has = found.get(key, [0, 0, 0])
        debits[currency] += has[1] - has[2]
        controls[currency, account] += has[1] - has[2]
        if expected != has:
            books.differs(
                where,
                account,
                f"{told(key)}: {_of_sums(expected, has)}",
                currency=currency,
                expected_minor=expected[1] - expected[2],
                found_minor=has[1] - has[2],
                first_position=position or None,
            )
    for currency, difference_minor in debits.items():
        if difference_minor:
            says = f"debits less credits of all accounts of lane {books.lane} are not zero"
            amounts = {"expected_minor": 0, "found_minor": difference_minor}
            books.differs(where, "trial balance", says, currency=currency, **amounts)
    for currency, account in sorted(books.controls.keys() | controls.keys()):
        expected_minor = books.controls.get((currency, account), 0)
        found_minor = controls[currency, account]
        if account in CONTROLS and expected_minor != found_minor:
            says = f"in lane {books.lane} it is not the sum of the figure that it controls"
            amounts = {"expected_minor": expected_minor, "found_minor": found_minor}
            books.differs(where, account, says, currency=currency, **amounts)


def _of_day(key: Row) -> str:
    _, _, kind, on, period, day = key
    return f"{kind} of {on} posted in {period:%Y-%m}, recorded on {day}"


def _of_month(key: Row) -> str:
    _, _, month, period, recorded = key
    return f"of {month:%Y-%m} posted in {period:%Y-%m}, recorded in {recorded:%Y-%m}"


def _of_sums(expected: Sequence[int], has: Sequence[int]) -> str:
    """In words what sums should be and are; amounts in minor units."""
    names = ("entries", "debits", "credits")
    facts = zip(names, expected, has, strict=True)
    return ", ".join(f"{name} are {is_}, not {not_}" for name, not_, is_ in facts if is_ != not_)
