"""The door that commands come in by: who asks, and whether they may, for all that wait at once."""

from collections.abc import Sequence
from typing import NamedTuple

from api.database import Line
from api.entering import Entered, Place, Principal, refuse
from api.gathering import Gathering
from api.security.scope import Permission
from ledger.store.arrays import Bytea, Int4, Text, Uuid, packed
from ledger.store.sql import load

_SQL = load("api", "entering.sql")


class _Asked(NamedTuple):
    """Who wants to do what where."""

    permission: Permission
    token_sha256: bytes
    at: Place | None


class Entrance:
    """Of one region; for what is done without reading views, which needs a transaction of its own."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._gathering = Gathering(lines, _answers)

    async def enter(
        self, permission: Permission, token_sha256: bytes, at: Place | None = None
    ) -> Entered:
        """Who asks. Raises Problem (401, 403, 404), DatabaseUnavailable, and as Gathering.ask."""
        verdict, entered = await self._gathering.ask(_Asked(permission, token_sha256, at))
        refuse(verdict)
        return entered

    async def close(self) -> None:
        """Who came is told, and no connection is left."""
        await self._gathering.close()


async def _answers(line: Line, asked: list[_Asked]) -> list[tuple[str, Entered]]:
    given = [
        packed(Text, [",".join(one.permission.roles) for one in asked]),
        packed(Text, [one.permission.scope for one in asked], nullable=True),
        packed(Bytea, [one.token_sha256 for one in asked]),
        packed(Int4, [one.at.lane if one.at else None for one in asked], nullable=True),
        packed(Uuid, [one.at.account_id.bytes if one.at else None for one in asked], nullable=True),
    ]
    rows = sorted(await line.quickly(_SQL["enter_many"], given))
    return [
        (verdict, Entered(Principal(role, principal_id), currency))
        for _, verdict, role, principal_id, currency in rows
    ]
