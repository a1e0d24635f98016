"""What the command line tells of long work."""

import pytest

from api.cli import screen
from api.cli.screen import Screen


def test_progress_tells_how_fast_and_how_long_yet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once a second is over, from where this kind of work began; not where the end is not known, nor
    at the end."""
    now = 100.0
    monkeypatch.setattr(screen.time, "monotonic", lambda: now)
    shown = Screen(as_json=False)
    for seconds, what, done, total in (
        (0.0, "accounts", 500, 10_000),
        (0.6, "accounts", 900, 10_000),
        (1.4, "accounts", 2_500, 10_000),
        (2.0, "accounts", 3_000, 1_003_000),
        (2.0, "accounts", 10_000, 10_000),
        (1.0, "lines", 5, 0),
        (3.0, "lines", 10, 0),
    ):
        now += seconds
        shown.progress(what, done, total)
    assert [
        "accounts: 500 of 10,000",
        "accounts: 900 of 10,000",
        "accounts: 2,500 of 10,000, 1,000/s, 8 s left",
        "accounts: 3,000 of 1,003,000, 625/s, 27 min left",
        "accounts: 10,000 of 10,000",
        "lines: 5",
        "lines: 10",
    ] == capsys.readouterr().err.splitlines()


def test_what_is_waited_for_is_told_without_a_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of work whose extent nobody counts: a line, on a terminal in place of the last until more is said."""
    shown = Screen(as_json=True)
    shown.progress("accounts", 40, 40)
    shown.waiting("the views to follow")
    assert "accounts: 40 of 40\nwaiting for the views to follow\n" == capsys.readouterr().err
    monkeypatch.setattr(screen.sys.stderr, "isatty", lambda: True)
    shown.waiting("the views to follow")
    shown.say("done")
    assert "\r\x1b[Kwaiting for the views to follow\ndone\n" == capsys.readouterr().err
