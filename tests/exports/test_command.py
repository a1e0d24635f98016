"""The command `export`: what a download has, to a file or to standard output; and what keeps it from that."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.cli import export, main
from api.embedded import EmbeddedServer
from api.vectors import Vector
from api.wiring import Database
from tests.api.books import COMMANDS, TOKENS, requests
from tests.api.conftest import filled_database
from tests.exports.downloading import command, downloaded
from tests.projections.books import append

TOKEN = TOKENS["us"]


@pytest.fixture(scope="module")
def region(server: EmbeddedServer) -> Database:
    """A region with the book of every test."""
    return filled_database(server)


def test_the_command_writes_what_is_downloaded(
    region: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """To a file or to standard output; it tells the position, which gives the same again."""
    asked = ("beancount", "--period", "2020-01", "--through", "2020-03")
    code, text = command(region, monkeypatch, tmp_path, *asked)
    told = json.loads(capfd.readouterr().out)
    query = {"period": "2020-01", "through": "2020-03", "at": told["position"]}
    expected = downloaded(region, TOKEN, "beancount", **query).decode()
    assert (0, expected) == (code, text)
    assert told["entries"] == expected.count("  recorded_at:") or told["entries"] > 0
    assert 0 == main(["export", *asked, "--region", "us", "--at", told["position"]])
    assert expected == capfd.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        ("--period", "2020-13"),
        ("--period", "2020-02", "--through", "2020-01"),
        ("--period", "2020-01", "--at", "x"),
        ("--period", "2020-01", "--known-at", "2199-01-01T00:00:00Z"),
        ("--period", "2020-01", "--known-at", "yesterday"),
        ("--period", "2020-01", "--known-at", "2020-01-01T00:00:00Z", "--at", "x"),
    ],
)
def test_what_the_command_cannot_mean_is_misuse(
    region: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    """It says so, and leaves no file."""
    assert (2, "") == command(region, monkeypatch, tmp_path, "csv", *wrong)
    assert [] == list((tmp_path / "out").iterdir())


def test_a_moment_that_the_journal_has_not_reached_is_not_exported(
    region: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Less than the position says would be in it: it is caught up with once the moment is known."""
    order: list[str] = []
    catch_up, known_positions = Database.catch_up, export._known_positions

    def noted(name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: (order.append(name), does(*given))[1]

    monkeypatch.setattr(export, "_known_positions", noted("known", known_positions))
    monkeypatch.setattr(Database, "catch_up", noted("caught up", catch_up))
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    asked = ("csv", "--period", "2020-01", "--out", str(tmp_path / "file"))
    assert 0 == command(region, monkeypatch, tmp_path, *asked, "--known-at", now)[0]
    assert ["known", "caught up"] == order
    with closing(region.ledger()) as ledger:
        append(ledger, requests("BEHIND", region.today(), COMMANDS))
    with closing(region.log()) as log:
        heads = [head.position for head in log.heads()]
    monkeypatch.setattr(Database, "catch_up", lambda *given: None)
    at = Vector("us", heads).text()
    assert (2, "") == command(region, monkeypatch, tmp_path, *asked[:3], "--at", at)
    assert "have not come that far" in capfd.readouterr().err
    catch_up(region, 30)


def test_what_keeps_a_file_from_being_written_is_said(
    region: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Where there is no such directory, where it is one, and when the database is gone."""
    asked = ("csv", "--period", "2020-01")
    nowhere = tmp_path / "nowhere" / "file"
    assert 1 == command(region, monkeypatch, tmp_path, *asked, "--out", str(nowhere))[0]
    assert f"{nowhere} cannot be written: No such file" in capfd.readouterr().err
    for directory in (str(tmp_path), "."):
        assert 2 == command(region, monkeypatch, tmp_path, *asked, "--out", directory)[0]
        assert f"{directory} is a directory" in capfd.readouterr().err

    async def gone(*given: object, **more: object) -> None:
        raise psycopg.OperationalError("it is gone")

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", gone)
    assert (1, "") == command(region, monkeypatch, tmp_path, *asked)
    assert "the database does not answer: it is gone" in capfd.readouterr().err
    assert [] == list((tmp_path / "out").iterdir())
