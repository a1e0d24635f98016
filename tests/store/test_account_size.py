"""What a command reads and writes does not grow with its account."""

import msgspec
import pytest

from ledger.commands import AnyCommand, IssueInvoice
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from tests.store.databases import Database
from tests.store.scenario import charge, opening, payment, requests

COMMANDS = 20
GROW = """
    INSERT INTO ledger.event
        (lane, position, account_id, version, topic, state, recorded_at, hash, leaf)
    SELECT e.lane, -n, e.account_id, -n, e.topic, e.state, e.recorded_at, e.hash, e.leaf
    FROM ledger.event AS e, generate_series(1, 200000) AS n
    WHERE e.topic = 'charge_posted:1' AND e.account_id = (
        SELECT account_id FROM ledger.account WHERE account_number = 'large'
    );
    INSERT INTO ledger.item (
        lane, account_id, kind, id, seq, version, state, due_on, open_minor, undisputed_minor,
        written_off_minor
    )
    SELECT i.lane, i.account_id, i.kind, 'X' || n, n + 10, 1,
           convert_to(
               replace(
                   convert_from(i.state, 'UTF8'),
                   format('"id":"I0","seq":%s', i.seq), format('"id":"X%s","seq":%s', n, n + 10)
               ),
               'UTF8'
           ),
           i.due_on, i.open_minor, i.undisputed_minor, i.written_off_minor
    FROM ledger.item AS i, generate_series(1, 20000) AS n
    WHERE i.kind = 'invoice' AND i.account_id = (
        SELECT account_id FROM ledger.account WHERE account_number = 'large'
    );
"""
"""200,000 events and 20,000 open invoices more, copies of the first; nothing here folds them."""


def blocks_read(ledger: Ledger) -> int:
    """Blocks of tables and indexes the database has looked at so far."""
    with ledger._store.get_connection() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::int AS n"
            " FROM pg_statio_user_tables WHERE schemaname = 'ledger'"
        ).fetchone()
    assert row is not None
    n: int = row["n"]
    return n


def blocks_of(ledger: Ledger, number: str, commands: list[AnyCommand], tag: str) -> int:
    """Blocks looked at by commands of an account, each in a flush of its own."""
    before = blocks_read(ledger)
    for n, request in enumerate(requests(number, commands)):
        request = msgspec.structs.replace(request, key=f"{tag}.{n}")
        assert isinstance(ledger.handle_now([request])[0], Accepted)
    return blocks_read(ledger) - before


@pytest.fixture
def grown(ledger: Ledger, database: Database) -> Ledger:
    """The door to a small account and a large one."""
    for number in ("small", "large"):
        billed = charge("c0", 1_000_000)
        ledger.handle_now(requests(number, [opening(), billed, IssueInvoice(number="I0")]))
    database.run(GROW)
    return ledger


def ratios(ledger: Ledger, tag: str) -> list[float]:
    """Blocks on the large account against the small one, of charges and of named payments."""
    charges: list[AnyCommand] = [charge(f"{tag}{n}") for n in range(COMMANDS)]
    payments: list[AnyCommand] = [payment(f"{tag}{n}", 1, "I0") for n in range(COMMANDS)]
    found = []
    for commands in (charges, payments):
        small = blocks_of(ledger, "small", commands, f"{tag}{type(commands[0]).__name__}")
        large = blocks_of(ledger, "large", commands, f"{tag}{type(commands[0]).__name__}")
        print(f"{type(commands[0]).__name__}: {small} and {large} blocks")
        found.append(large / small)
    return found


def test_a_command_costs_the_same_on_a_large_account(grown: Ledger, database: Database) -> None:
    """A charge, and a payment of one named invoice, on an account with 200,000 events and 20,000
    open invoices look at no more than 1.3 times the blocks that they do on a small one; without
    the index of open invoices they do."""
    assert max(ratios(grown, "a")) <= 1.3
    database.run("DROP INDEX ledger.item_open")
    assert max(ratios(grown, "b")) > 1.3
