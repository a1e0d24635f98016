"""The fixtures of the read side's tests: a database with the ledger's schema and empty views."""

from tests.projections.conftest import database, ledger

__all__ = ["database", "ledger"]
