"""GET /v1/accounts/{account_number}/explain/{figure}: the events that a figure is made of."""

from collections.abc import Mapping
from typing import cast

from api.account_reads import AS_OF, Reading, read_operation
from api.amounts import money
from api.cursors import list_of, seal, unseal
from api.doors import RegionDoor
from api.explaining import (
    FIRST,
    Explained,
    contribution_shown,
    contributions,
    explain,
    items_shown,
    rules_shown,
    value_shown,
)
from api.operations import Operation
from api.parameters import CURSOR, LIMIT, LIMIT_DEFAULT, named
from api.problems import Problem
from ledger.explaining import FIGURES, FigureName

PARAMETERS = named(*AS_OF, LIMIT, CURSOR)
_SAYS = (
    "Items with what each adds, and the events that moved them with their signed contributions, the"
    " latest first. All contributions and the rules add up to `amount`."
)


def explain_operation(doors: Mapping[str, RegionDoor]) -> Operation:
    """The operation of explaining a figure."""
    return read_operation(
        doors,
        "/explain/{figure}",
        "explain_figure",
        "What a figure of the summary is made of, down to the events",
        PARAMETERS,
        explained,
        Explained,
        places={"figure": {"type": "string", "enum": list(FIGURES)}},
        details=_SAYS,
    )


async def explained(reading: Reading, key: bytes) -> Explained:
    """The page that a request asks for; raises Problem (404) for what is no figure."""
    given, currency = reading.given, reading.currency
    if given["figure"] not in FIGURES:
        raise Problem("item_unknown", f"there is no such figure; there are {', '.join(FIGURES)}")
    figure = cast(FigureName, given["figure"])
    limit = given.get("limit", LIMIT_DEFAULT)
    filters = {name: value for name, value in given.items() if name not in ("limit", "cursor")}
    kind = list_of("explain", f"{reading.region}/{reading.at.number}", filters)
    before = FIRST
    if "cursor" in given:
        before = unseal(key, kind, given["cursor"], tuple[int, int])
    found = await explain(reading, figure)
    rows = await contributions(reading, figure, found.parts, before, limit + 1)
    more = len(rows) > limit
    return Explained(
        figure=figure,
        value=value_shown(found, figure, currency),
        amount=money(found.amount_minor, currency),
        items=items_shown(found, currency) if before == FIRST else None,
        items_count=len(found.parts),
        rules=rules_shown(found.rules, currency),
        data=[contribution_shown(row, reading.at.lane, currency) for row in rows[:limit]],
        next_cursor=seal(key, kind, rows[limit - 1]["place"]) if more else None,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )
