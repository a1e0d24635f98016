"""Which currency an account is kept in, asked of the log's side: the views may be behind."""

from typing import Self

import msgspec
import psycopg
from psycopg.rows import scalar_row

from ledger.account import Account
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import AUDITOR, acting_as
from ledger.store.sql import load

_SQL = load("api", "currencies.sql")
_decoder = msgspec.json.Decoder(Account)


class Currencies:
    """The currencies of one region's accounts; also a context manager."""

    def __init__(self, region: str, service_url: str) -> None:
        self._region = region
        self._connection = psycopg.connect(acting_as(service_url, AUDITOR), autocommit=True)

    def __call__(self, account_number: str) -> str | None:
        """The account's currency; None when there is no such account."""
        id = account_id(self._region, account_number)
        with self._connection.cursor(row_factory=scalar_row) as cursor:
            given = {"lane": lane_of(id), "account_id": id}
            state = cursor.execute(_SQL["state"], given).fetchone()
        return None if state is None else _decoder.decode(state).currency

    def close(self) -> None:
        """No connection is open."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
