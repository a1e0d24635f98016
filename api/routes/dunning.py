"""POST /v1/dunning: late fees, interest, reminders and return fees, posted or only told, line by line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope
from starlette.types import Send as SendMessage

from api import parameters
from api.asking import Asker, come_in, note
from api.body import invalid, read_object
from api.doors import RegionDoor
from api.dunning import AssessmentLine, Run, RunTotals, Send, policy_for
from api.moments import DAY_SCHEMA, FIRST_DAY, LAST_DAY
from api.operations import NDJSON, Operation
from api.parameters import DRY_RUN
from api.problems import Problem, invalid_field
from api.security.scope import DUN
from api.streamed import Streamed
from ledger.commands import Request as Asked
from ledger.store.outcomes import Outcome
from projections.dunning import DunningReading
from projections.follower import ViewBehind

RUNS_MAX = 2
"""Runs that a process works on at once."""
RETRY_AFTER_S = 5
CATCH_UP_S_MAX = 10.0

_PARAMETERS = parameters.named(DRY_RUN)
_encode = msgspec.json.Encoder().encode


class DunningBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The day that counts as today: what is past due on it is charged, effective on it. Null: the
    region's today; no later day."""

    on: Annotated[date, msgspec.Meta(extra_json_schema=DAY_SCHEMA)] | None = None


def dunning_operation(doors: Mapping[str, RegionDoor]) -> Operation:
    """The operation of dunning runs."""
    return Operation(
        method="POST",
        path="/v1/dunning",
        name="dun",
        says="Charge late fees, interest and return fees, and remind, by the region's policy",
        details="A line for each charge and message, then one with the totals. Nothing is charged "
        "twice: asked again, what is missing is done. An answer that ends without totals was broken "
        "off, and can be asked for again.",
        tag="dunning",
        permission=DUN,
        handle=DunningEndpoint(doors),
        replies={200: AssessmentLine | RunTotals},
        parameters=_PARAMETERS,
        body=DunningBody,
        body_required=False,
        reply_type=NDJSON,
        codes=(
            *("no_dunning_policy", "effective_in_future", "view_behind"),
            "account_changed",  # of a line
        ),
        problems=(400, 401, 403, 409, 413, 415, 422, 503),
    )


class DunningEndpoint:
    """Answers runs."""

    def __init__(self, doors: Mapping[str, RegionDoor]) -> None:
        self._doors = doors
        self._runs = 0

    async def __call__(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, DUN, _PARAMETERS)
        today = asker.door.today()
        on = await _day(request) or today
        policy = policy_for(asker.door.region, on, today)
        if self._runs >= RUNS_MAX:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", f"{RUNS_MAX} runs are under way already", headers=wait)
        self._runs += 1
        try:
            reading = await asyncio.to_thread(DunningReading, asker.door.service_url, policy, on)
        except BaseException:
            self._done()
            raise
        run = Run(
            reading=reading,
            policy=policy,
            on=on,
            today=today,
            biller=asker.door.region.contact_on(today).company,
            actor=asker.principal.actor,
            send=None if asker.found.get("dry_run") else _sender(asker.door),
            catch_up=partial(_catch_up, asker.door),
        )
        answer = Answer(run, self._done, partial(_note, request, asker, run))
        await answer.begin()
        return answer

    def _done(self) -> None:
        self._runs -= 1


class Answer(Streamed):
    """A run's lines as they come; what is under way when the answer ends is waited for."""

    def __init__(self, run: Run, done: Callable[[], None], note: Callable[[], None]) -> None:
        """`done` is called when it is over, `note` when nothing is left to do."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._lines(), NDJSON, headers)
        self._run = run
        self._done = done
        self._note = note
        self._pages = run.parts()
        self._page = self._next()

    async def begin(self) -> None:
        """The first lines are there; raises what keeps the run from beginning, and then it is over."""
        try:
            await asyncio.shield(self._page)
        except BaseException:
            await self._close()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._close()

    async def _lines(self) -> AsyncIterator[bytes]:
        while (lines := await asyncio.shield(self._page)) is not None:
            self._page = self._next()
            if lines:
                yield _written(lines)
        self._note()
        yield _written([self._run.totals()])

    def _next(self) -> "asyncio.Future[list[AssessmentLine] | None]":
        return asyncio.ensure_future(asyncio.to_thread(_next, self._pages))

    async def _close(self) -> None:
        await asyncio.gather(self._page, return_exceptions=True)
        self._run.reading.close()
        self._done()


async def _day(request: Request) -> date | None:
    body = await read_object(request, may_lack=True)
    try:
        on = msgspec.convert(body, DunningBody).on
    except msgspec.ValidationError as fault:
        raise invalid(str(fault)) from fault
    if on is not None and not FIRST_DAY <= on <= LAST_DAY:
        raise invalid_field("/on", f"{on} is not from {FIRST_DAY.year} to {LAST_DAY.year}")
    return on


def _sender(door: RegionDoor) -> Send:
    """Hands commands of a thread to the region's ledger, which belongs to the event loop."""
    loop = asyncio.get_running_loop()

    def send(requests: Sequence[Asked]) -> list[Outcome]:
        return asyncio.run_coroutine_threadsafe(door.handle(requests), loop).result()

    return send


def _note(request: Request, asker: Asker, run: Run) -> None:
    totals = run.totals()
    if totals.dry_run:
        return
    posted = {total.kind: total.count for total in totals.totals}
    note("dunned", request, asker, on=totals.on, posted=posted, refused=totals.refused)


def _catch_up(door: RegionDoor) -> None:
    try:
        door.catch_up(CATCH_UP_S_MAX)
    except ViewBehind as fault:
        raise Problem("view_behind", str(fault)) from fault


def _next(parts: Iterator[list[AssessmentLine]]) -> list[AssessmentLine] | None:
    return next(parts, None)


def _written(lines: Sequence[AssessmentLine | RunTotals]) -> bytes:
    return b"".join(_encode(line) + b"\n" for line in lines)
