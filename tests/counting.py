"""Counts the steps of the state machines and the examples of the properties, and fixes their seed.

A pytest plugin: the seed stands in the header (HYPOTHESIS_SEED gives one), the counts in the
summary, added up over all workers; below them the lines that tests have to tell.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

SEED_NAME = "HYPOTHESIS_SEED"
COUNTED: Counter[str] = Counter()
LINES: list[str] = []
STEPS, EXAMPLES = "machine steps", "property examples"


def seed() -> int:
    """The seed of this session, equal in all its workers."""
    return int(os.environ.setdefault(SEED_NAME, str(random.SystemRandom().getrandbits(32))))


def thorough(examples: int, **given: Any) -> settings:
    """Settings for so many examples: no deadline, nothing remembered, failures as blobs."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        **given,
    )


def counted(test: Callable[..., None]) -> Callable[..., None]:
    """A property that counts each example it holds for; to stand below `given`."""

    @wraps(test)
    def once(*args: Any, **kwargs: Any) -> None:
        test(*args, **kwargs)
        COUNTED[EXAMPLES] += 1

    return once


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = str(seed())


def pytest_report_header() -> str:
    return f"{SEED_NAME}={seed()}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["counted"] = dict(COUNTED)
        output["lines"] = LINES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    COUNTED.update(output.get("counted", {}))
    LINES.extend(output.get("lines", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTED:
        terminalreporter.write_line(", ".join(f"{n}: {COUNTED[n]}" for n in (STEPS, EXAMPLES)))
    for line in LINES:
        terminalreporter.write_line(line)
