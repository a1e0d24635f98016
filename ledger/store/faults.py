"""What can go wrong in the store that no caller asked for: each says what to do about it."""

import psycopg


class MalformedSql(Exception):
    """A .sql file is not made of named, described blocks."""


class StoreUnavailable(Exception):
    """The database could not be reached or did not answer; whether it recorded is not known.

    Send the same command with the same key again: it is done at most once.
    """


class LedgerClosed(Exception):
    """The ledger was closed, or its thread crashed: this process takes no more commands."""


class Corrupt(Exception):
    """Stored history contradicts itself: a gap, a broken hash, an unreadable body."""


class WrongRegion(Exception):
    """The database holds another region than the one configured."""


class MigrationChanged(Exception):
    """A migration that was applied reads differently now."""


class UnsafeRole(Exception):
    """The service's login could change history: it is a superuser or owns the log."""


def message_of(fault: BaseException) -> str:
    """An exception's message as it may be logged and kept.

    Of the database's own only the first part: details show whole rows, with names and amounts.
    """
    if isinstance(fault, psycopg.Error):
        return fault.diag.message_primary or str(fault).strip().partition("\n")[0]
    return str(fault)
