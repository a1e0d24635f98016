"""Runs of a month end: what may be asked, who works on them, what they tell."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing as closed
from datetime import date
from itertools import pairwise

import psycopg
import pytest
from psycopg import errors

from api.embedded import EmbeddedServer
from ledger import closing as closing_module
from ledger import commands as c
from ledger.closing import REFUSALS_KEPT_MAX, MonthEnd, MonthEnds
from ledger.errors import (
    EffectiveBeforeCause,
    EffectiveInFuture,
    InvalidPeriod,
    MonthEndRunning,
    PeriodNotBegun,
    Refusal,
)
from ledger.store.committer import Ledger
from ledger.store.roles import READER
from tests.closing.books import ACTOR, TODAY, Closing, charge, check_each_billed_once, many, opening
from tests.store.databases import US, Database, numbers_in_lanes

MID_JULY = date(2020, 7, 15)
JULY_31 = date(2020, 7, 31)


def ask(closing: Closing, period: str, issued_on: date | None, today: date) -> MonthEnd | Refusal:
    try:
        return closing.month_ends.ask(period, issued_on, actor=ACTOR, today=today)
    except Refusal as refusal:
        return refusal


@pytest.mark.parametrize(
    "text", ["2020-13", "2020-00", "2020-7", "2020-07-01", "0000-01", "٢٠٢٠-٠٧", "2020-07\n", ""]
)
def test_what_is_not_a_month_is_refused(text: str) -> None:
    """Asked for or looked up, a text that names no month is told before any database is asked."""
    month_ends = MonthEnds("postgresql://nobody@127.0.0.1:1/nowhere")
    for look in (
        lambda: month_ends.ask(text, None, actor=ACTOR, today=TODAY),
        lambda: month_ends.status(text),
    ):
        with pytest.raises(InvalidPeriod, match="is not a month"):
            look()


def test_a_time_that_cannot_be_is_refused(closing: Closing) -> None:
    """A month that has not begun in the region, an issue in the future or before the month begins."""
    today = date(2020, 6, 30)
    assert PeriodNotBegun(period="2020-07", today=today) == ask(closing, "2020-07", None, today)
    later = date(2020, 7, 2)
    assert EffectiveInFuture(effective_on=later, today=today) == ask(
        closing, "2020-06", later, today
    )
    early, first = date(2020, 5, 31), date(2020, 6, 1)
    assert EffectiveBeforeCause(
        effective_on=early, cause="the period 2020-06", cause_on=first
    ) == ask(closing, "2020-06", early, today)
    assert [] == closing.month_ends.unfinished()
    assert isinstance(ask(closing, "2020-07", None, date(2020, 7, 1)), MonthEnd)


def test_a_run_tells_how_it_stands(closing: Closing) -> None:
    """Never asked for, asked for, finished: who asked, what for, and every account counted once."""
    many(closing, 30, MID_JULY)
    assert closing.month_ends.status("2020-07") is None
    asked = ask(closing, "2020-07", JULY_31, TODAY)
    assert isinstance(asked, MonthEnd)
    assert ("2020-07", "running", JULY_31, TODAY, ACTOR) == (
        asked.period, asked.state, asked.issued_on, asked.asked_on, asked.actor,
    )  # fmt: skip  # field by field
    assert (0, None, ()) == (asked.accounts, asked.finished_at, asked.refusals)
    assert ["2020-07"] == closing.month_ends.unfinished()
    done = closing.close("2020-07", JULY_31)
    assert (30, 30) == (done.accounts, done.issued)
    assert done.finished_at is not None
    assert asked.asked_at == done.asked_at < done.finished_at <= done.moved_at
    actors = {recorded.actor for recorded in closing.database.recorded("M-0001")[-1:]}
    assert {ACTOR} == actors


def test_a_run_tells_when_its_end_is_expected(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs: how many accounts are left, and when they are done at the pace so far; not
    before the first, not for a run that stood still for months, and not once it is finished."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 50)
    many(closing, 200, MID_JULY)
    asked = ask(closing, "2020-07", None, TODAY)
    assert isinstance(asked, MonthEnd)
    assert (200, None) == (asked.accounts_left, asked.end_expected_at)
    while (run := closing.month_ends.status("2020-07")) is not None and run.accounts < 60:
        stop_after_one_batch(closing)
    assert run is not None
    assert run.accounts_left == 200 - run.accounts > 0
    pace = (run.moved_at - run.asked_at) / run.accounts
    assert run.end_expected_at is not None
    ahead = run.end_expected_at - run.moved_at
    assert abs(ahead - pace * run.accounts_left).total_seconds() < 0.001
    closing.database.run("UPDATE ledger.month_end SET asked_at = asked_at - interval '500 years'")
    stood = closing.month_ends.status("2020-07")
    assert stood is not None
    assert stood.end_expected_at is None
    done = closing.close("2020-07")
    assert (None, None) == (done.accounts_left, done.end_expected_at)


def test_runs_are_listed_the_latest_month_first(closing: Closing) -> None:
    """Each with its own counts and refusals, in pages that begin before a month."""
    many(closing, 20, MID_JULY)
    used = c.Request(
        account_number="used", key="month-end:2020-07", command=opening(), actor="t", today=TODAY
    )
    closing.ledger.handle_now([used])
    for period in ("2020-07", "2020-06", "2020-08"):
        closing.close(period)
    listed = closing.month_ends.runs(None, 10)
    assert ["2020-08", "2020-07", "2020-06"] == [run.period for run in listed]
    assert [(0, 0), (20, 1), (0, 0)] == [(run.issued, len(run.refusals)) for run in listed]
    assert listed == [closing.month_ends.status(run.period) for run in listed]
    assert listed[:2] == closing.month_ends.runs(None, 2)
    assert listed[1:] == closing.month_ends.runs("2020-08", 2)
    assert [] == closing.month_ends.runs("2020-06", 2)


def test_asking_while_it_runs(closing: Closing) -> None:
    """The same again changes nothing; another day of issue is refused; on a later day the run begins
    anew, since more accounts may be due."""
    many(closing, 30, MID_JULY)
    first = ask(closing, "2020-07", None, MID_JULY)
    assert first == ask(closing, "2020-07", None, MID_JULY)
    running = ask(closing, "2020-07", MID_JULY, TODAY)
    assert isinstance(running, MonthEndRunning)
    assert "issued on the day each account's period ends" in str(running)
    stop_after_one_batch(closing)
    again = ask(closing, "2020-07", None, JULY_31)
    assert isinstance(again, MonthEnd)
    assert (JULY_31, 0) == (again.asked_on, again.accounts)
    assert (30, 0) == (closing.close("2020-07", today=JULY_31).issued, len(again.refusals))
    check_each_billed_once(closing, "2020-07", JULY_31)


def test_many_ask_at_once(closing: Closing) -> None:
    """One run comes of it; those who want another day of issue are refused, wherever they were."""
    days = [None, JULY_31, None, JULY_31, None]

    def one(issued_on: date | None) -> object:
        with closed(MonthEnds(closing.database.service_url)) as month_ends:
            try:
                asked = month_ends.ask("2020-07", issued_on, actor=ACTOR, today=TODAY)
            except MonthEndRunning:
                return "running"
            return asked.issued_on

    with ThreadPoolExecutor(len(days)) as threads:
        answers = list(threads.map(one, days))
    [kept] = set(answers) - {"running"}
    assert [day if day == kept else "running" for day in days] == answers
    assert [64] == closing.database.rows("SELECT count(*) FROM ledger.month_end")


def stop_after_one_batch(closing: Closing) -> None:
    stopping = threading.Event()
    closing.month_ends.work(closing.ledger, stopping=stopping, progress=stopping.set)


def test_it_stops_after_a_batch_and_goes_on(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop, a runner finishes the batch at hand; the next one goes on behind it."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 2)
    many(closing, 200, MID_JULY)
    ask(closing, "2020-07", None, TODAY)
    done = [0]
    for _ in range(3):
        stop_after_one_batch(closing)
        run = closing.month_ends.status("2020-07")
        assert run is not None
        assert run.state == "running"
        done.append(run.accounts)
    assert all(0 <= after - before <= 2 for before, after in pairwise(done))
    assert done[0] < done[-1]
    assert 200 == closing.close("2020-07").issued
    check_each_billed_once(closing, "2020-07", JULY_31)


def test_several_runners_share_the_work(closing: Closing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runners at once, each with a door of its own: all work, each account is billed once, and each
    counted once."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 2)
    many(closing, 300, MID_JULY)
    ask(closing, "2020-07", None, TODAY)

    def run(_: int) -> int:
        batches = 0

        def progress() -> None:
            nonlocal batches
            batches += 1

        url = closing.database.service_url
        with closed(Ledger(url, US.code)) as ledger, closed(MonthEnds(url)) as month_ends:
            month_ends.work(ledger, progress=progress)
        return batches

    with ThreadPoolExecutor(3) as threads:
        batches = list(threads.map(run, range(3)))
    assert min(batches) > 5
    run_ = closing.month_ends.status("2020-07")
    assert run_ is not None
    assert ("finished", 300, 300) == (run_.state, run_.accounts, run_.issued)
    check_each_billed_once(closing, "2020-07", JULY_31)


def test_lanes_of_any_size_are_billed_together(closing: Closing) -> None:
    """A large lane among small ones: what a batch bills is stored by one transaction."""
    numbers = numbers_in_lanes([0] * 90 + [1, 2, 3, 4, 5, 6, 7] * 5)
    closing.send_all([(number, opening()) for number in numbers])
    closing.send_all([(number, charge("c", MID_JULY, 100)) for number in numbers])
    run = closing.close("2020-07")
    assert (len(numbers), len(numbers)) == (run.accounts, run.issued)
    transactions = closing.database.rows(
        "SELECT DISTINCT xmin::text FROM ledger.event WHERE topic = 'invoice_issued:1'"
    )
    assert 1 == len(transactions)


def test_charges_posted_meanwhile_are_on_this_invoice_or_the_next(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the run goes through the accounts, charges race it: each is on one invoice or unbilled,
    and the next month's takes the rest."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 2)
    numbers = many(closing, 80, MID_JULY)
    before = sum(closing.posted_through(number, JULY_31) for number in numbers)
    dice, over, under_way = random.Random(7), threading.Event(), threading.Event()

    def post() -> None:
        with closed(Ledger(closing.database.service_url, US.code)) as ledger:
            racing = Closing(closing.database, ledger, posted=closing.posted, key="race")
            n = 0
            while not over.is_set():
                n += 1
                racing.send(dice.choice(numbers), charge(f"race-{n}", MID_JULY, 7))
                if n == 20:
                    under_way.set()

    poster = threading.Thread(target=post)
    poster.start()
    try:
        assert under_way.wait(30)
        run = closing.close("2020-07")
    finally:
        over.set()
        poster.join()
    assert 80 == run.issued
    billed = 0
    for number, [invoice] in closing.under_key("2020-07").items():
        posted = closing.posted_through(number, JULY_31)
        assert posted == invoice.total_minor + closing.unbilled(number), number
        billed += invoice.total_minor
    posted = sum(closing.posted_through(number, JULY_31) for number in numbers)
    assert before < billed < posted
    closing.close("2020-08")
    of_both = [i.total_minor for n in numbers for i in closing.invoices(n)]
    assert posted == sum(of_both)


def test_a_lane_closes_its_months_in_order(closing: Closing) -> None:
    """With two months asked for, the later waits for the earlier, also when that is in other hands:
    its invoice would take the earlier one's lines."""
    closing.send("A", opening(), charge("c-1", date(2020, 6, 15), 1), charge("c-2", MID_JULY, 2))
    for period in ("2020-07", "2020-06"):
        ask(closing, period, None, TODAY)
    with closed(psycopg.connect(closing.database.owner_url)) as holding:
        holding.execute("SELECT FROM ledger.month_end WHERE period = '2020-06' FOR UPDATE")
        assert not closing.month_ends._step(closing.ledger)
    assert ["2020-06", "2020-07"] == closing.month_ends.unfinished()
    closing.month_ends.work(closing.ledger)
    assert [1, 2] == [invoice.total_minor for invoice in closing.invoices("A")]


def test_refusals_are_all_counted_and_the_first_kept(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of accounts refused, a lane keeps the first few, over batches; the run goes
    through to the end."""
    monkeypatch.setattr(closing_module, "BATCH_MAX", 10)
    numbers = numbers_in_lanes([5] * 30)
    used = [
        c.Request(account_number=n, key="month-end:2020-07", command=opening(), actor="t",
                  today=TODAY)
        for n in numbers
    ]  # fmt: skip  # arguments by what they are for
    closing.ledger.handle_now(used)
    many(closing, 20, MID_JULY)
    run = closing.close("2020-07")
    assert (50, 20, 30) == (run.accounts, run.issued, run.refused)
    assert REFUSALS_KEPT_MAX == len(run.refusals)
    assert {refusal.account_number for refusal in run.refusals} < set(numbers)


def test_a_key_used_between_look_up_and_append(closing: Closing) -> None:
    """When somebody bills an account under the key, otherwise, after the run has looked at it, the
    run looks again and finds the invoice."""
    closing.send("A", opening(), charge("c", MID_JULY, 100))
    billing = c.Request(
        account_number="A", key="month-end:2020-07", actor="t", today=TODAY,
        command=c.IssueInvoice(period_end=MID_JULY),
    )  # fmt: skip  # arguments by what they are for

    class Beaten(Ledger):
        def handle_now(self, requests):  # type: ignore[no-untyped-def] # as its base
            if requests:
                super().handle_now([billing])
            return super().handle_now(requests)

    ask(closing, "2020-07", None, TODAY)
    with closed(Beaten(closing.database.service_url, US.code)) as ledger:
        closing.month_ends.work(ledger)
    run = closing.month_ends.status("2020-07")
    assert run is not None
    assert (1, 0, 1) == (run.issued, run.refused, len(closing.invoices("A")))


def test_a_lost_connection_leaves_the_lane_to_the_next(
    server: EmbeddedServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the runner's own connection is cut while its batch is appended, the lane does not move by
    it; the next runner finds the invoices and counts each once."""
    many(closing, 40, MID_JULY)
    ask(closing, "2020-07", None, TODAY)
    bill = closing_module.bill

    def cut(*given):  # type: ignore[no-untyped-def] # as what it stands for
        tally = bill(*given)
        connection = closing.month_ends._connection
        assert connection is not None
        with closed(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
            pid = connection.info.backend_pid
            admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return tally

    with monkeypatch.context() as patched:
        patched.setattr(closing_module, "bill", cut)
        with pytest.raises(psycopg.OperationalError):
            closing.month_ends.work(closing.ledger)
    run = closing.close("2020-07")
    assert (40, 40) == (run.accounts, run.issued)
    check_each_billed_once(closing, "2020-07", JULY_31)


def test_a_reader_sees_counts_and_no_accounts(closing: Closing) -> None:
    """What readers may select of a run names no account, and they cannot change it."""
    ask(closing, "2020-07", None, TODAY)
    with psycopg.connect(closing.database.acting_as(READER), autocommit=True) as connection:
        counted = connection.execute("SELECT sum(issued) FROM ledger.month_end").fetchone()
        assert (0,) == counted
        for attempt in (
            "SELECT refusals FROM ledger.month_end",
            "SELECT after_account FROM ledger.month_end",
            "UPDATE ledger.month_end SET finished_at = now()",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(attempt.encode())


def test_the_database_keeps_no_other_periods(database: Database) -> None:
    """A row of a period that is no month cannot be stored."""
    with pytest.raises(errors.CheckViolation):
        database.run(
            "INSERT INTO ledger.month_end VALUES"
            " (0, '2020-13', NULL, now(), 'x', now(), 0, NULL, 0, 0, 0, 0, 0, '[]', now(), NULL)"
        )
