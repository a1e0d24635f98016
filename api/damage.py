"""What a read answers when a view holds what no events make: a problem, and a line in the log."""

import logging

from api.problems import Problem

RETRY_AFTER_S = 60
"""Somebody has to make the view anew."""

_log = logging.getLogger(__name__)


def view_damaged(view: str | None, says: str) -> Problem:
    """The problem of a read model that cannot be believed, of which the log has a line now.

    None: one of several, nobody knows which. `says` is in words and tells no amounts: what differs,
    and by how much, is told by a reconciliation.
    """
    _log.error("view_damaged", extra={"read_model": view, "error": says})
    rebuild = f"rebuild {view}" if view else "rebuild"
    detail = (
        f"{says}: `billing-ledger reconcile` tells more, "
        f"`billing-ledger {rebuild} --accept-differences` mends it"
    )
    return Problem("view_damaged", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
