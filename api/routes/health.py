"""GET /healthz and /readyz: whether this process lives, and whether it should be sent requests."""

import asyncio
import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.checkup import Finding, checkup
from api.operations import JSON, Operation
from api.security.scope import PUBLIC
from api.wiring import Database

FRESH_S = 1.0
"""For how long a checkup is answered again: probing must not load the databases."""


class Alive(msgspec.Struct, frozen=True):
    """The answer of /healthz."""

    alive: bool


class Readiness(msgspec.Struct, frozen=True):
    """The answer of /readyz."""

    ready: bool
    regions: dict[str, list[Finding]]


class Checkups:
    """The latest checkup of all regions, made anew when it is no longer fresh."""

    def __init__(self, databases: tuple[Database, ...]) -> None:
        self._databases = databases
        self._turn = asyncio.Lock()
        self._latest: Readiness | None = None
        self._made_at = 0.0

    async def readiness(self) -> Readiness:
        """Ready when nothing that stops a region is wrong in any."""
        async with self._turn:
            if self._latest is None or time.monotonic() - self._made_at > FRESH_S:
                found = await asyncio.gather(
                    *(asyncio.to_thread(checkup, database) for database in self._databases)
                )
                codes = [database.region.code for database in self._databases]
                ready = all(f.ok or not f.stops for findings in found for f in findings)
                self._latest = Readiness(ready, dict(zip(codes, found, strict=True)))
                self._made_at = time.monotonic()
            return self._latest


def health_operations(databases: tuple[Database, ...]) -> list[Operation]:
    """The operations that tell how this process is."""
    checkups = Checkups(databases)
    alive = msgspec.json.encode(Alive(True))

    async def healthz(request: Request) -> Response:
        return Response(alive, media_type=JSON)

    async def readyz(request: Request) -> Response:
        readiness = await checkups.readiness()
        return Response(
            msgspec.json.encode(readiness),
            status_code=200 if readiness.ready else 503,
            media_type=JSON,
            headers={"Cache-Control": "no-store"},
        )

    return [
        Operation(
            method="GET",
            path="/healthz",
            name="get_health",
            says="This process lives",
            tag="public",
            permission=PUBLIC,
            handle=healthz,
            replies={200: Alive},
        ),
        Operation(
            method="GET",
            path="/readyz",
            name="get_readiness",
            says="Whether every region can be served, and what was found of each",
            details="503 when one of them cannot: send requests elsewhere.",
            tag="public",
            permission=PUBLIC,
            handle=readyz,
            replies={200: Readiness, 503: Readiness},
        ),
    ]
