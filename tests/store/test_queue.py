"""The queue: in order for each account, fair between lanes and the accounts of a lane."""

from uuid import UUID

from ledger.store.lanes import LANES
from ledger.store.queue import Queue
from ledger.store.reads import Place
from ledger.store.waiting import Asked, Order, Waiting
from tests.store.scenario import charge, requests

BUSY: Place = (3, UUID(int=1))
BESIDE: Place = (3, UUID(int=2))
ELSEWHERE: Place = (5, UUID(int=3))


def commands(place: Place, count: int, order: Order | None = None) -> list[Waiting]:
    """Charges of one account, numbered."""
    asked = Asked(count, order or Order())
    made = requests("A-1", [charge(f"c{n}") for n in range(count)])
    return [Waiting(request, place, b"", asked, n) for n, request in enumerate(made)]


def test_what_an_account_has_is_taken_together_and_in_order() -> None:
    """Commands that came in turns leave account by account, each account's in order of arrival."""
    queue = Queue()
    busy, beside = commands(BUSY, 4), commands(BESIDE, 4)
    for one, other in zip(busy, beside, strict=True):
        queue.put([one, other])
    assert [*busy, *beside] == queue.take(100)
    assert 0 == queue.count
    assert [] == queue.take(100)


def test_lanes_share_what_is_taken() -> None:
    """A lane with thousands leaves the others their share."""
    queue = Queue()
    queue.put(commands(BUSY, 1_000))
    elsewhere = commands(ELSEWHERE, 10)
    queue.put(elsewhere)
    taken = queue.take(20)
    assert [waiting for waiting in taken if waiting.place == ELSEWHERE] == elsewhere
    assert 20 == len(taken)


def test_accounts_of_a_lane_take_turns() -> None:
    """An account with thousands has its lane's share once; then the others of its lane have theirs."""
    queue = Queue()
    busy, beside = commands(BUSY, 1_000), commands(BESIDE, 3)
    queue.put([*busy, *beside])
    assert busy[:10] == queue.take(10)
    assert beside == queue.take(10)[:3]


def test_no_lane_is_passed_over() -> None:
    """With more lanes than are taken of, all have had their turn after so many takes."""
    queue = Queue()
    for lane in range(LANES):
        queue.put(commands((lane, UUID(int=lane)), 50))
    seen = {waiting.place[0] for _ in range(8) for waiting in queue.take(LANES // 8)}
    assert set(range(LANES)) == seen


def test_accounts_that_are_busy_wait() -> None:
    """Nothing of a busy account is taken; it keeps its place before what comes later."""
    queue = Queue()
    busy, beside = commands(BUSY, 3), commands(BESIDE, 3)
    queue.put([*busy, *beside])
    assert beside == queue.take(100, {BUSY})
    assert [] == queue.take(100, {BUSY})
    assert 3 == queue.count
    assert busy == queue.take(100)


def test_what_is_put_back_comes_first() -> None:
    """Commands put back are taken before those of their account that came meanwhile, in order."""
    queue = Queue()
    busy = commands(BUSY, 6)
    queue.put(busy[:4])
    taken = queue.take(100)
    queue.put(busy[4:])
    queue.put_back(taken)
    assert busy == queue.take(100)


def test_commands_of_a_broken_order_leave() -> None:
    """They are taken out of every lane; the others stay, in order."""
    queue, broken = Queue(), Order()
    kept, gone = commands(BUSY, 3), commands(BUSY, 3, broken)
    for one, other in zip(kept, gone, strict=True):
        queue.put([one, other])
    alone = commands(ELSEWHERE, 2, broken)
    queue.put(alone)
    broken.is_broken = True
    assert [*gone, *alone] == queue.remove_broken()
    assert kept == queue.take(100)
    assert 0 == queue.count
