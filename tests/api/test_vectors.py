"""Vectors: a place in all lanes as one string that is read back whole or not at all."""

import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Problem
from api.vectors import CHARS_MAX, Vector
from ledger.store.lanes import LANES
from tests.counting import counted, thorough

POSITION_MAX = 2**63 - 1
POSITIONS = st.lists(
    st.integers(0, POSITION_MAX) | st.integers(0, 300), min_size=LANES, max_size=LANES
)
PLACE = [lane * 1_000 for lane in range(LANES)]
TEXT = Vector("us", PLACE).text()
KEPT = (
    "AQJ1cwDoB9APuBegH4gn8C7YNsA-qEaQTvhV4F3IZbBtmHWAfeiEAdCMAbiUAaCcAYikAfCrAdizAcC7AajDAZDLAfjSAe"
    "DaAcjiAbDqAZjyAYD6AeiBAtCJAriRAqCZAoihAvCoAtiwAsC4AqjAApDIAvjPAuDXAsjfArDnApjvAoD3Auj-AtCGA7iO"
    "A6CWA4ieA_ClA9itA8C1A6i9A5DFA_jMA-DUA8jcA7DkA5jsA-oneQg"
)
"""What the first release gave out: consumers keep it for years."""


def is_refused(region: str, text: str) -> bool:
    try:
        Vector.read(region, text)
    except Problem as problem:
        return (problem.code, problem.status) == ("position_unknown", 422)
    return False


@thorough(300)
@given(POSITIONS, st.sampled_from(["us", "emea", "a23456789abcdef0"]))
@counted
def test_a_vector_is_read_as_it_was_written(positions: list[int], region: str) -> None:
    """Any positions of any region come back, in no more characters than are taken."""
    text = Vector(region, positions).text()
    assert len(text) <= CHARS_MAX
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert positions == Vector.read(region, text).positions


def test_what_was_given_out_is_taken_for_ever() -> None:
    """A change of the form would strand every consumer."""
    assert KEPT == TEXT
    assert PLACE == Vector.read("us", KEPT).positions


def test_moving_on_is_as_if_written_anew() -> None:
    """A vector that moved along is written like one made at that place, and its copy stays."""
    vector = Vector("us", PLACE)
    before = vector.copy()
    vector.move(63, 2**40)
    vector.move(0, 5)
    assert vector.text() == Vector("us", [5, *PLACE[1:63], 2**40]).text()
    assert before.text() == TEXT


def test_no_altered_string_is_another_place() -> None:
    """Each character changed to each other one, left out, doubled, or the string cut: refused."""
    for n, there in enumerate(TEXT):
        for other in set(string.ascii_letters + string.digits + "-_+/=. ") - {there}:
            assert is_refused("us", TEXT[:n] + other + TEXT[n + 1 :]), (n, other)
        assert is_refused("us", TEXT[:n] + TEXT[n + 1 :])
        assert is_refused("us", TEXT[:n])
        assert is_refused("us", TEXT[:n] + there + TEXT[n:])


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "AQ", "0-7", "null", TEXT + "=", TEXT + "A", " " + TEXT, TEXT + "\n"),
        *("A" * CHARS_MAX, "A" * (CHARS_MAX + 1), "\N{LATIN SMALL LETTER E WITH ACUTE}" * 8),
        Vector("emea", PLACE).text(),
        TEXT.replace("A", "\N{FULLWIDTH LATIN CAPITAL LETTER A}"),
    ],
)
def test_what_is_no_vector_of_the_region_is_refused(text: str) -> None:
    """Garbage, the vector of another region and what only looks like one."""
    assert is_refused("us", text)


def test_a_number_has_one_way_of_being_written() -> None:
    """Longer forms of the same numbers, with a checksum that is right, are not read."""
    raw = urlsafe_b64decode(Vector("us").text() + "==")
    body = raw[:4] + b"\x80\x00" + raw[5:-4]
    text = urlsafe_b64encode(body + crc32(body).to_bytes(4, "big")).rstrip(b"=").decode()
    assert is_refused("us", text)
