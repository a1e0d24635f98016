"""Room: no text is set wider than was reckoned, so that what is to stand on one line does."""

import json
import random
from itertools import product
from typing import Any

import pytest
import typst

from api.documents.content import CategoryAmount
from api.documents.invoice import invoice_view
from api.documents.room import (
    BETWEEN_PT,
    TABLE_PT,
    TEXT_PT,
    WIDTHS,
    listing,
    room_pt,
    share_pt,
    width_pt,
)
from api.documents.typesetting import Typesetter
from tests.documents.contents import customer, invoice, line, text_of

MEASURE = """
#set text(font: "Libertinus Serif", size: 1000pt, weight: sys.inputs.weight)
#set text(number-type: "lining", number-width: "tabular")
#context [#metadata(json(bytes(sys.inputs.texts)).map(it => measure(text(it)).width.pt())) <widths>]
"""
WORDS = ("Conference", "WAVE", "minutes", "toll-free", "(IJ)", "To", "fi", "1.204", "Öl", "&", "@m")


def measured(texts: list[str], weight: str) -> list[float]:
    """How wide the typesetter sets texts, in thousandths of their size."""
    found = typst.query(
        MEASURE.encode(),
        "<widths>",
        field="value",
        one=True,
        ignore_system_fonts=True,
        sys_inputs={"weight": weight, "texts": json.dumps(texts)},
    )
    widths: list[float] = json.loads(found)
    return widths


@pytest.mark.parametrize("weight", ["regular", "bold"])
def test_no_letter_is_wider_than_reckoned(weight: str) -> None:
    """Alone, beside any other (fonts move pairs), and in words."""
    dice = random.Random(7)
    ascii_letters = [letter for letter in WIDTHS if letter.isascii()]
    pairs = ["".join(pair) for pair in product(ascii_letters, repeat=2)]
    texts = [*WIDTHS, *pairs, *(" ".join(dice.choices(WORDS, k=6)) for _ in range(200))]
    for text, width in zip(texts, measured(texts, weight), strict=True):
        assert width <= width_pt(text, 1_000) + 0.01, text


def test_what_is_not_known_is_never_reckoned_to_fit() -> None:
    """Letters of other fonts, marks set upon others, and places where a word may be broken."""
    for text in ("株", "a\u0301", "a\u200bb", "שלום", "\u200d"):
        of = listing(["A", "B"], [[text, "1.00"]], [None, 50.0], left=1, room=10_000.0)
        assert [(1, "")] == of["tall"]


def filled(room: float, size: float) -> str:
    """Words that take just about all of a room, and not more."""
    dice = random.Random(room)
    text = "a"
    while width_pt(longer := f"{text} {dice.choice(WORDS)}", size) + BETWEEN_PT <= room:
        text = longer
    while width_pt(longer := f"{text}.", size) + BETWEEN_PT <= room:
        text = longer
    return text


@pytest.mark.parametrize(("language", "paper"), [("en", "us-letter"), ("en-GB", "a4")])
def test_a_row_is_as_high_as_its_text(typesetter: Typesetter, language: str, paper: str) -> None:
    """What just fits a column stands on one line in a row of one; what is longer has a tall row."""
    whose = customer(language=language)
    bare: dict[str, Any] = {"quantity": None, "unit_price": None, "taxes": []}
    widths = invoice_view(invoice([line(**bare)], customer=whose))["lines"]["widths"]
    room = room_pt(paper) - sum(width for width in widths if width is not None)
    fits = filled(room, TABLE_PT)
    for text, tall in ((fits, []), (f"{fits} {fits}", [(1, "")])):
        made = invoice([line(description=text, **bare)], customer=whose)
        assert tall == invoice_view(made)["lines"]["tall"]
        assert (not tall) == (f"2020 {text} usage 10.00" in text_of(typesetter.pdf(made)))


def test_labels_and_values_are_as_high_as_they_are_long(typesetter: Typesetter) -> None:
    """Beside each other at the head, in the totals and by category: on one line as long as they fit."""
    half = share_pt("us-letter", 1.25 / 2.25)
    for length in (20, 30, 40, 60, 96):
        made = invoice(
            number="N" * length,
            categories=[CategoryAmount(category="n" * min(length, 64), amount_minor=10_00)],
        )
        view = invoice_view(made)
        text = text_of(typesetter.pdf(made))
        [is_tall] = [tall for label, _, tall in view["details"]["rows"] if label == "Number"]
        assert is_tall == (width_pt("N" * length, TEXT_PT) > half - view["details"]["width"])
        assert is_tall or f"Number {'N' * length}\n" in text
        assert view["categories"]["tall"] or f"{'n' * min(length, 64)} 10.00" in text


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()
