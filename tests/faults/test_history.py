"""The history checker finds each kind of anomaly, and none in histories that are right."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.faults.history import Command, Read, Transaction, anomalies

KEYS = {"A": ["open", "a", "b", "b", "c"]}
RIGHT: tuple[Transaction, ...] = (
    Command("x", "A", "open", 0, 1, last=1),
    Command("x", "A", "a", 2, 3, last=2),
    Command("y", "A", "b", 2, 5, last=4),
    Command("x", "A", "no", 3.5, 4, code="nothing_to_bill"),
    Read("x", "A", 4.1, 4.2, version=2, not_before=2, keys={1: "open", 2: "a"}),
    Read("x", "A", 6, 7, version=4, not_before=2, keys={3: "b", 4: "b"}),
    Command("y", "A", "c", 6, last=0),
)


def found(*history: Transaction, keys: dict[str, list[str]] = KEYS) -> Counter[str]:
    return anomalies(history, keys)


def test_what_is_right_is_let_be() -> None:
    """Answers in an order that there can have been, one of them never told, are no anomaly."""
    assert not found(*RIGHT)


def with_one(n: int, changed: Transaction) -> list[Transaction]:
    return [*RIGHT[:n], changed, *RIGHT[n + 1 :]]


@pytest.mark.parametrize(
    ("anomaly", "history", "keys"),
    [
        ("lost", RIGHT, ["open", "b", "b", "c"]),
        ("moved", with_one(1, Command("x", "A", "a", 2, 3, last=3)), KEYS["A"]),
        ("doubled", RIGHT, ["open", "a", "b", "b", "a"]),
        ("refused but done", RIGHT, [*KEYS["A"], "no"]),
        ("read what is not there", with_one(5, Read("z", "A", 6, 7, version=9)), KEYS["A"]),
        ("read half a command", with_one(5, Read("z", "A", 6, 7, version=3)), KEYS["A"]),
        (
            "read older than asked",
            with_one(5, Read("z", "A", 6, 7, version=2, not_before=4)),
            KEYS["A"],
        ),
        (
            "read another order",
            with_one(5, Read("z", "A", 6, 7, version=4, keys={2: "b"})),
            KEYS["A"],
        ),
        ("cycle", with_one(2, Command("y", "A", "b", 0.1, 0.2, last=4)), KEYS["A"]),
        ("cycle", with_one(5, Read("x", "A", 6, 7, version=1)), KEYS["A"]),
    ],
)
def test_each_anomaly_is_found(anomaly: str, history: list[Transaction], keys: list[str]) -> None:
    """Planted in a history that is right, each is named."""
    assert found(*history, keys={"A": keys})[anomaly] > 0


def test_two_that_saw_each_other_missing_run_in_a_circle() -> None:
    """A lost update: both were told the same version, and one of them is not in the log."""
    lost = (Command("x", "A", "a", 2, 3, last=2), Command("y", "A", "b", 2, 3, last=2))
    assert {"lost"} == set(found(*lost, keys={"A": ["open", "a"]}))


def test_made_up_histories_are_right_until_one_answer_is_swapped() -> None:
    """A thousand transactions of a serial log raise nothing; exchanging two answers does."""
    dice = random.Random(3)
    keys, history, now = list[str](), list[Transaction](), 0.0
    for n in range(1_000):
        now += 1
        client = f"client {n % 5}"
        if dice.random() < 0.7 or not keys:
            keys += [f"k{n}"] * dice.randint(1, 3)
            history.append(Command(client, "A", f"k{n}", now, now + 0.5, last=len(keys)))
        else:
            history.append(Read(client, "A", now, now + 0.5, len(keys), keys={1: keys[0]}))
    assert not found(*history, keys={"A": keys})
    first, second = [n for n, c in enumerate(history) if isinstance(c, Command)][-2:]
    history[first], history[second] = (
        replace(history[first], last=history[second].last),
        replace(history[second], last=history[first].last),
    )
    assert found(*history, keys={"A": keys})["moved"] == 2
