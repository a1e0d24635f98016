"""How much room texts take on a page, worked out here: the typesetter finds out by setting them twice."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

View = dict[str, Any]
"""What a template is given: texts, and lists of them."""

TABLE_PT = 8.5
"""Size of the letters of a table, and of all others."""
TEXT_PT = 9.5
BETWEEN_PT = 9.0
"""What stands free beside the text of a column."""
_PAPER_PT = {"a4": 595.27, "us-letter": 612.0}
_MARGINS_PT = 102.1
_MM_PT = 2.8347

# How wide letters of the documents' font are at most, regular or bold and beside any other, in thousandths
# of their size; the tests measure it. Others are of fonts that nobody knows before they are set.
_LETTERS = {
    250: "',.|·\u202f\u00a0 ",
    300: "!:;¡°’‘",
    350: ")/\\ijl}ª²³´¹ìíîï",
    400: '"-(IJ]`t{¯ºÌÍÎÏ',
    450: "*?[frs¨¿“”",
    500: "_cez~¤§çèéêë",
    525: "#$0123456789S^agàáâãäå€",
    550: "+<>bv¢£¥±¸×÷–−",
    600: "=FLdopquxy«¬µ»ðòóôõöøùúûüýþÿ",
    650: "%EPYZhkn¶ÈÉÊËÞßñ",
    700: "BT©®¼½¾Ý",
    750: "&ACDGKNOQRUVXÀÁÂÃÄÅÇÐÑÒÓÔÕÖØÙÚÛÜæ—",
    900: "HMw…œ",
    1_050: "@WmÆŒ",
}


class _Widths(dict[str, float]):
    """Thousandths by letter, endless for one that is not known."""

    def __missing__(self, letter: str) -> float:
        return inf


WIDTHS: Mapping[str, float] = _Widths(
    {letter: width for width, letters in _LETTERS.items() for letter in letters}
)
_width = WIDTHS.__getitem__


def room_pt(paper: str) -> float:
    """How wide what stands on a page is."""
    return _PAPER_PT[paper] - _MARGINS_PT


def share_pt(paper: str, share: float) -> float:
    """How wide one of two columns beside each other is that has this share of what both have."""
    return (room_pt(paper) - 10 * _MM_PT) * share


def width_pt(text: str, size_pt: float) -> float:
    """How wide a text is at most; endless where it has letters that nobody knows."""
    return sum(map(_width, text)) * size_pt / 1_000


def column_pt(texts: Iterable[str], size_pt: float = TABLE_PT) -> float:
    """How wide a column must be for texts that are not to be broken."""
    return max((_likely_pt(text, size_pt) for text in texts), default=0.0) + BETWEEN_PT


def _likely_pt(text: str, size_pt: float) -> float:
    width = width_pt(text, size_pt)
    return width if width < inf else len(text) * size_pt


def listing(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float | None],
    *,
    left: int,
    room: float,
    size: float = TABLE_PT,
    notes: Mapping[int, str] | None = None,
    bold: Sequence[int] = (),
) -> View:
    """A table as templates take it: `left` columns of texts, then numbers.

    Of the widths those that are None share what is left of the room. Rows go by their number from 1,
    the head is 0: `bold` ones, and `tall` ones, which may need more than a line, each with its note,
    which stands below its second cell.
    """
    notes = notes or {}
    rest = room - sum(width for width in widths if width is not None)
    share = rest / max(sum(width is None for width in widths), 1)
    rooms = [share if width is None else width for width in widths]
    tall = [
        (n, notes.get(n, ""))
        for n, row in enumerate((head, *rows))
        if n in notes or not _is_line(row, rooms, size)
    ]
    return {
        "size": size,
        "widths": widths,
        "left": left,
        "head": head,
        "cells": [cell for row in rows for cell in row],
        "tall": tall,
        "bold": bold,
    }


def _is_line(row: Sequence[str], rooms: Sequence[float], size: float) -> bool:
    """Whether each text is known to stand on one line of its column."""
    return all(
        width_pt(text, size) + BETWEEN_PT <= room for text, room in zip(row, rooms, strict=True)
    )


def pairs(rows: Sequence[tuple[str, str]], room: float) -> View:
    """Labels and values, one pair below the other; with each whether it may need more than a line."""
    width = column_pt((label for label, _ in rows), TEXT_PT)
    left = room - width
    return {
        "width": width,
        "rows": [(*row, width_pt(row[1], TEXT_PT) > left) for row in rows],
    }


def sums(rows: Sequence[tuple[str, str, bool]], room: float) -> View:
    """Labels and amounts that add up, and whether each is a sum; likewise."""
    width = column_pt((amount for _, amount, _ in rows), TEXT_PT)
    left = room - width
    return {
        "width": width,
        "rows": [(*row, width_pt(row[0], TEXT_PT) > left) for row in rows],
    }
