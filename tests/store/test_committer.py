"""The door to the log: every reply is the domain's, every retry is safe, nobody waits in vain."""

import asyncio
import random
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ledger import commands as c
from ledger.account import figures
from ledger.book import Book
from ledger.commands import Request
from ledger.errors import AccountExists, AccountUnknown, IdempotencyKeyReused, IdTaken, Refusal
from ledger.store import chain, flush, writer
from ledger.store.committer import Ledger
from ledger.store.faults import LedgerClosed, StoreUnavailable, WrongRegion
from ledger.store.lanes import account_id, lane_of
from ledger.store.outcomes import Accepted, Refused
from ledger.store.reads import Place, Reads, Wanted
from ledger.store.waiting import Waiting
from tests.acting import KINDS, Actor, Dice
from tests.checking import Checked
from tests.store.databases import SERVICE, US, Database
from tests.store.scenario import charge, every_command, opening, payment, requests

SEED = 20_200_731
COMMON = ("post_charge", "issue_invoice", "submit_payment", "submit_payment")


def made_up(rng: random.Random, number: str, count: int) -> list[Request]:
    """Requests for one account, made by looking at what the domain accepted of them so far."""
    checked = Checked()
    actor = Actor(checked.model)
    made = []
    for n in range(count):
        kind = rng.choice(KINDS) if rng.random() < 0.5 else rng.choice(COMMON)
        request = actor.request("open_account" if n == 0 else kind, Dice(rng.randbytes(40)))
        checked.handle(request)
        made.append(msgspec.structs.replace(request, account_number=number))
        actor.today += timedelta(days=rng.choice((0, 0, 0, 1, 12)))
    return made


def test_replies_are_the_domains(ledger: Ledger, database: Database) -> None:
    """Whatever is taken together, events, versions, figures and refusals equal those of a book
    in memory; a second sending is answered alike; and the stored account equals the book's."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for n, count in enumerate((20, 60, 60, 120, 120, 120)):
        # The book names the account "A-1" in generated numbers, so every other one waits its turn.
        number = f"A-{n}"
        asked = made_up(rng, number, count)
        book, expected = Book(), []
        for request in asked:
            try:
                expected.append(book.handle(request))
            except Refusal as refusal:
                expected.append(refusal)
        got, left = [], asked
        while left:
            size = rng.choice((1, 1, 2, 5, 40))
            got += ledger.handle_now(left[:size])
            left = left[size:]
        for request, wanted, outcome in zip(asked, expected, got, strict=True):
            if isinstance(wanted, Refusal):
                assert outcome == Refused(wanted), request
                continue
            assert isinstance(outcome, Accepted), request
            assert tuple(r.event for r in outcome.events) == wanted.events
            assert outcome.version == wanted.account.version
            assert outcome.figures == figures(wanted.account, request.today)
        done = [(r, o) for r, o in zip(asked, got, strict=True) if isinstance(o, Accepted)]
        again = ledger.handle_now([request for request, _ in done])
        assert again == [msgspec.structs.replace(outcome, replayed=True) for _, outcome in done]
        assert [r.event for r in database.recorded(number)] == book.events
    assert database.first_break() is None


def test_every_kind_of_command(ledger: Ledger, database: Database) -> None:
    """Commands of every kind of one account, all in one flush, are all accepted, in order."""
    asked = requests("A-1", every_command())
    outcomes = ledger.handle_now(asked)
    assert [type(outcome) for outcome in outcomes] == [Accepted] * len(asked)
    versions = [r.version for outcome in outcomes for r in outcome.events]  # type: ignore[union-attr] # accepted
    assert versions == list(range(1, len(versions) + 1))
    assert [r.version for r in database.recorded("A-1")] == versions
    assert database.rows("SELECT body FROM ledger.message_text") == ["Your bill is ready."]


def test_one_key_sent_100_times_at_once(ledger: Ledger, database: Database) -> None:
    """One command sent 100 times at once with one key: one event, 100 equal answers; the key with
    another body is refused, in the same flush and later."""
    open_it, once, other = requests("A-1", [opening(), charge("c1"), charge("c2")])
    other = msgspec.structs.replace(other, key=once.key)

    async def all_at_once() -> list[object]:
        calls = [ledger.handle([once]) for _ in range(100)] + [ledger.handle([other])]
        return [outcome for answer in await asyncio.gather(*calls) for outcome in answer]

    ledger.handle_now([open_it])
    *answers, refused = asyncio.run(all_at_once())
    first = answers[0]
    assert isinstance(first, Accepted)
    assert {msgspec.json.encode(msgspec.structs.replace(a, replayed=False)) for a in answers} == {
        msgspec.json.encode(msgspec.structs.replace(first, replayed=False))
    }
    assert sum(not a.replayed for a in answers) == 1  # type: ignore[attr-defined] # all are accepted
    assert refused == Refused(IdempotencyKeyReused(key=once.key))
    assert ledger.handle_now([other]) == [Refused(IdempotencyKeyReused(key=once.key))]
    assert [r.version for r in database.recorded("A-1")] == [1, 2]


def test_a_refusal_leaves_nothing_and_frees_its_key(ledger: Ledger, database: Database) -> None:
    """A refused command records nothing, keeps no key, and does not touch the others."""
    asked = requests("A-1", [charge("c1"), opening(), opening(), charge("c1"), charge("c1")])
    outcomes = ledger.handle_now(asked)
    assert outcomes[0] == Refused(AccountUnknown(account_number="A-1"))
    assert isinstance(outcomes[1], Accepted)
    assert outcomes[2] == Refused(AccountExists(account_number="A-1"))
    assert isinstance(outcomes[3], Accepted)
    assert outcomes[4] == Refused(IdTaken(kind="charge", id="c1"))
    assert database.rows("SELECT key FROM ledger.command_key ORDER BY key") == ["key-1", "key-3"]
    later = msgspec.structs.replace(asked[0], command=charge("c2"))
    assert isinstance(ledger.handle_now([later])[0], Accepted)


def test_a_refusal_holds_on_to_nothing(ledger: Ledger) -> None:
    """A refusal has no traceback: its frames would keep the account and items that it was decided on,
    thousands perhaps, for as long as somebody keeps it, or until the garbage collector looks."""
    [refused] = ledger.handle_now(requests("A-1", [charge("c1")]))
    assert isinstance(refused, Refused)
    assert refused.refusal.__traceback__ is None


def test_a_dry_run_records_nothing(ledger: Ledger, database: Database) -> None:
    """A dry run gives the events and figures that would result, and neither it nor its key stays."""
    ledger.handle_now(requests("A-1", [opening()]))
    (request,) = requests("A-1", [charge("c1")])
    request = msgspec.structs.replace(request, key="dry")
    dry = msgspec.structs.replace(request, dry_run=True)
    would, charged = ledger.handle_now([dry, request])
    assert isinstance(would, Accepted)
    assert isinstance(charged, Accepted)
    assert (would.events, would.figures) == (charged.events, charged.figures)
    assert (would.positions, would.leaf, would.recorded_at) == ((), None, None)
    assert len(database.recorded("A-1")) == 2


def test_two_doors_to_one_account(ledger: Ledger, database: Database) -> None:
    """Two processes that write to the same account lose, double and refuse nothing."""
    ledger.handle_now(requests("A-1", [opening()]))
    other = Ledger(database.service_url, US.code)
    commands = [charge(f"c{n}") for n in range(200)]
    asked = [msgspec.structs.replace(r, key=f"c{r.key}") for r in requests("A-1", commands)]

    async def from_both() -> list[list[object]]:
        calls = [(ledger, other)[n % 2].handle([request]) for n, request in enumerate(asked)]
        return await asyncio.gather(*calls)

    outcomes = [outcome for answer in asyncio.run(from_both()) for outcome in answer]
    other.close()
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(database.recorded("A-1")) == 201


def overtaken(ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch) -> object:
    """What upholding a dispute gets when another process does the same between its two reads."""
    commands = [
        opening(),
        charge("c1"),
        c.IssueInvoice(number="I1"),
        c.OpenDispute(dispute_id="d1", invoice="I1", reason="not mine"),
        c.ResolveDispute(dispute_id="d1", outcome="upheld"),
    ]
    *before, request = requests("A-1", commands)
    ledger.handle_now(before)
    other = Ledger(database.service_url, US.code)
    own = ledger._writer._reads
    read = own.more

    def more(wanted: Sequence[Wanted]) -> set[Place]:
        other.handle_now([request])
        return read(wanted)

    monkeypatch.setattr(own, "more", more)
    (outcome,) = ledger.handle_now([request])
    other.close()
    return outcome


def test_a_command_is_decided_on_one_moment(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that another process does while this one reads is answered as a replay, never
    decided on an account of one moment and items of the next."""
    outcome = overtaken(ledger, database, monkeypatch)
    assert isinstance(outcome, Accepted)
    assert outcome.replayed


def test_deciding_on_several_moments_is_seen(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the look at the account's version the same command is refused: the test above can
    fail."""
    own = ledger._writer._reads
    read = own.more
    monkeypatch.setattr(own, "more", lambda wanted: read(wanted) & set())
    outcome = overtaken(ledger, database, monkeypatch)
    assert outcome == Refused(IdTaken(kind="credit", id="d1"))


def test_hot_account_takes_few_rounds(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of commands of one account, each changing what the next one reads, are decided in
    one flush with a handful of reads."""
    commands = [opening()]
    for n in range(100):
        commands += [charge(f"c{n}"), *every_command()[5:6]]
        commands[-1] = msgspec.structs.replace(commands[-1], number=f"I{n}")
    ledger.handle_now(requests("A-1", commands))
    paying = [payment(f"p{n}", 900) for n in range(100)]
    rounds: list[int] = []
    own = ledger._writer._reads
    read = own.more

    def more(wanted: Sequence[Wanted]) -> set[Place]:
        rounds.append(len(wanted))
        return read(wanted)

    monkeypatch.setattr(own, "more", more)
    asked = [msgspec.structs.replace(r, key=f"p{r.key}") for r in requests("A-1", paying)]
    outcomes = ledger.handle_now(asked)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(rounds) <= 3, len(rounds)


def test_a_flush_with_many_rounds_leaves_the_rest_for_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the rounds of a flush are used up, what is left is done by the next one, in order."""
    monkeypatch.setattr(flush, "ROUNDS_MAX", 1)
    outcomes = ledger.handle_now(requests("A-1", every_command()))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    monkeypatch.undo()


def test_another_regions_database_is_refused(database: Database) -> None:
    """A door opens only to the database of its own region."""
    with pytest.raises(WrongRegion, match="emea"):
        Ledger(database.service_url, "emea")


def test_closing_does_what_waits(database: Database) -> None:
    """Close returns when everything taken is done; afterwards the door takes nothing more."""
    door = Ledger(database.service_url, US.code)
    commands = [opening(), *(charge(f"c{n}") for n in range(600))]
    answer = door.enqueue(requests("A-1", commands))
    door.close()
    door.close()
    assert all(isinstance(outcome, Accepted) for outcome in answer.result(timeout=0))
    with pytest.raises(LedgerClosed):
        door.handle_now(requests("A-1", [charge("late")]))


def test_a_busy_lane_keeps_nobody_waiting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commands of one lane wait, another lane's is in the next flush."""
    numbers = [f"A-{n}" for n in range(400)]
    lanes = {number: lane_of(account_id(US.code, number)) for number in numbers}
    busy = numbers[0]
    other = next(number for number in numbers if lanes[number] != lanes[busy])
    ledger.handle_now([*requests(busy, [opening()]), *requests(other, [opening()])])
    flushes: list[list[str]] = []
    hold = threading.Event()

    def noted(taken: list[Waiting], *given: Any) -> flush.Flush:
        flushes.append([waiting.request.account_number for waiting in taken])
        hold.wait(10)
        return decided(taken, *given)

    decided = flush.Flush
    monkeypatch.setattr(flush, "Flush", noted)
    monkeypatch.setattr(writer, "Flush", noted)
    many = requests(busy, [charge(f"c{n}") for n in range(3 * writer.FLUSH_MAX)])
    answers = [ledger.enqueue([msgspec.structs.replace(r, key=f"k{r.key}")]) for r in many]
    [late] = requests(other, [charge("late")])
    answers.append(ledger.enqueue([msgspec.structs.replace(late, key="late")]))
    hold.set()
    assert all(isinstance(outcome, Accepted) for a in answers for outcome in a.result(30))
    assert any(other in taken for taken in flushes[:2])


def test_a_fault_in_deciding_reaches_only_the_one_who_asked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command whose decision crashes fails for its caller; those beside it are done."""
    real = chain.decide

    def faulty(account: object, known: object, request: Request) -> object:
        assert request.account_number != "A-2", "planted"
        return real(account, known, request)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(chain, "decide", faulty)
    bad = ledger.enqueue(requests("A-2", [opening()]))
    good = ledger.handle_now(requests("A-1", [opening(), charge("c1")]))
    assert all(isinstance(outcome, Accepted) for outcome in good)
    with pytest.raises(AssertionError, match="planted"):
        bad.result(timeout=10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crash_of_the_thread_is_heard_by_everybody(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the thread crashes, everybody waiting and everybody after them is told why."""

    def crash(*_: object) -> object:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(writer, "flush", crash)
    with pytest.raises(LedgerClosed, match="planted"):
        ledger.handle_now(requests("A-1", [opening()]))
    with pytest.raises(LedgerClosed, match="planted"):
        ledger.handle_now(requests("A-1", [opening()]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crash_of_the_thread_leaves_no_session(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread crashes: its session ends, and holds nothing of the server any more."""
    sessions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
    )

    def crash(taken: object, reads: Reads, *_: object) -> object:
        reads.outright([], [], [])
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(writer, "flush", crash)
    assert [1] == database.rows(sessions, SERVICE)
    with pytest.raises(LedgerClosed, match="planted"):
        ledger.handle_now(requests("A-1", [opening()]))
    ledger._writer._thread.join(10)
    left = database.rows(sessions, SERVICE)
    for _ in range(100):
        if left == [0]:  # the server hears a little later that its client is gone
            break
        left = database.rows(sessions, SERVICE)
    assert [0] == left


def test_an_unreachable_database_is_reported(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a database a caller hears StoreUnavailable after a bounded number of attempts, and
    the same request is done once the database is back."""
    monkeypatch.setattr(writer, "BACKOFF_MAX_S", 0.001)
    real = ledger._store._conninfo
    ledger._store.disconnect()
    ledger._store._conninfo = "host=127.0.0.1 port=1 connect_timeout=1"
    with pytest.raises(StoreUnavailable):
        ledger.handle_now(requests("A-1", [opening()]))
    ledger._store._conninfo = real
    assert isinstance(ledger.handle_now(requests("A-1", [opening()]))[0], Accepted)
