"""The schema stays ready for a cluster split by lane; each rule is seen to catch its fault."""

from pathlib import Path

import pytest

from ledger.store import sql
from ledger.store.faults import MalformedSql
from tests.store.databases import Database

# Loaded by hand: tests are no package with data files.
RULES = {
    name: "\n".join(lines)
    for name, lines in sql._blocks(
        "schema_rules", (Path(__file__).parent / "schema_rules.sql").read_text()
    )
}
EXEMPT = {
    ("ledger.region", "ledger.region_pkey"): "one row",
    ("ledger.region", "ledger.region_is_one"): "one row",
    ("ledger.migration", "ledger.migration_pkey"): "a record of what was applied",
}
FAULTS = {
    "uniques_not_by_lane": "CREATE UNIQUE INDEX by_account ON ledger.event (account_id, version)",
    "tables_without_key": "CREATE TABLE ledger.heap (lane int)",
    "foreign_keys": (
        "CREATE TABLE ledger.child (lane int PRIMARY KEY REFERENCES ledger.lane_head (lane))"
    ),
    "forbidden_things": "CREATE TABLE ledger.counted (lane int PRIMARY KEY, n serial)",
    "forbidden_words": (
        "CREATE FUNCTION ledger.loud() RETURNS void LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_notify('x', 'y'); END $$"
    ),
    "unsafe_definers": (
        "CREATE FUNCTION ledger.open() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    ),
}


def broken(database: Database, rule: str) -> list[object]:
    return [row for row in database.rows(RULES[rule].replace("%%", "%")) if row not in EXEMPT]


def test_the_schema_keeps_every_rule(database: Database) -> None:
    """Every unique constraint begins with lane, every table has a key, and nothing is there that a
    cluster could not run."""
    assert {rule: broken(database, rule) for rule in RULES} == {rule: [] for rule in RULES}


def test_every_exemption_is_needed(database: Database) -> None:
    """The tables exempt from the rule of lanes are still there."""
    assert EXEMPT.keys() <= set(database.rows(RULES["uniques_not_by_lane"]))


def test_every_rule_catches_its_fault(database: Database) -> None:
    """Each rule, with its fault planted, names it."""
    assert FAULTS.keys() == RULES.keys()
    for rule, fault in FAULTS.items():
        database.run(fault)
        assert broken(database, rule), rule


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "-- name: bare\nSELECT 1;",
        "-- name: empty\n-- Says nothing.\n",
        "-- name: twice\n-- One.\nSELECT 1;\n-- name: twice\n-- Two.\nSELECT 2;",
    ],
)
def test_sql_that_is_not_in_described_blocks_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement outside a block, a block without description or statement, a name used twice."""
    monkeypatch.setattr(sql, "read", lambda package, file: text)
    with pytest.raises(MalformedSql):
        sql.load("ledger.store", "x.sql")
