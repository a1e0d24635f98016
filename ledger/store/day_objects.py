"""Day totals as they were stored before they became arrays: read like any other, never written.

No migration makes them anew: it would have to hold up every append, or lose what was appended
meanwhile. An item gets its new form when it is next written.
"""

from datetime import date

import msgspec

from ledger.items import DayLines, NamedTotal, UnbilledItem
from ledger.parts import Lines


class _Day(msgspec.Struct):
    on: date
    lines: Lines


class _Month(msgspec.Struct):
    id: str
    seq: int
    days: tuple[_Day, ...]


_decode = msgspec.json.Decoder(_Month).decode


def unbilled_of_objects(state: bytes) -> UnbilledItem:
    """The unbilled lines of a month whose days are objects. Raises ValidationError."""
    month = _decode(state)
    return UnbilledItem(id=month.id, seq=month.seq, days=tuple(map(_day_lines, month.days)))


def _day_lines(day: _Day) -> DayLines:
    lines = day.lines
    return DayLines(
        day.on,
        lines.count,
        lines.charges_minor,
        lines.credits_minor,
        lines.tax_minor,
        tuple([NamedTotal(total.category, total.amount_minor) for total in lines.categories]),
        tuple([NamedTotal(tax.name, tax.amount_minor) for tax in lines.taxes]),
    )
