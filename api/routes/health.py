"""GET /healthz and /readyz: whether this process lives, and whether it should be sent requests."""

import asyncio
import time

import msgspec
from fastapi import APIRouter, Response

from api.checkup import Finding, checkup
from api.wiring import Database

FRESH_S = 1.0
"""For how long a checkup is answered again: probing must not load the databases."""


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


def health_router(databases: tuple[Database, ...]) -> APIRouter:
    """The routes that tell how this process is."""
    router = APIRouter()
    checkups = Checkups(databases)

    @router.get("/healthz")
    async def get_healthz() -> Response:
        """This process lives."""
        return Response(b'{"alive":true}', media_type="application/json")

    @router.get("/readyz")
    async def get_readyz() -> Response:
        """Whether every region can be served, and what was found of each; 503 when one cannot."""
        readiness = await checkups.readiness()
        return Response(
            msgspec.json.encode(readiness),
            status_code=200 if readiness.ready else 503,
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return router
