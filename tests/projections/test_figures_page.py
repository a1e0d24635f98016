"""The page that defines the figures tells nothing that is not so."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "figures.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURES = [
    "balance",
    "total_amount_due",
    "available_credit",
    "due_on",
    "past_due",
    "days_past_due",
    "current_activity",
    "pending_payments",
    "payable_now",
    "aging",
    "oldest_days",
    "disputed",
    "last_payment",
    "messages",
]


def test_the_examples_hold() -> None:
    """Every snippet runs, in order, and every assertion in them is true."""
    page = PAGE.read_text(encoding="utf-8")
    snippets = SNIPPET.findall(page)
    assert len(snippets) > 8
    names: dict[str, Any] = {}
    for snippet in snippets:
        line = page[: page.index(snippet)].count("\n")
        exec(compile("\n" * line + snippet, str(PAGE), "exec"), names)


def test_every_figure_is_defined() -> None:
    """No figure of a summary is missing from the page."""
    page = PAGE.read_text(encoding="utf-8").lower()
    assert [] == [f for f in FIGURES if f"`{f}`" not in page and f.replace("_", " ") not in page]
