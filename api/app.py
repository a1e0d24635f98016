"""The HTTP application: routes put together, and every framework error turned into a problem."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.edge import EXPECTED, Edge, answer
from api.operations import Operation, routes
from api.routes.accounts import account_operations
from api.routes.bulk import bulk_operation
from api.routes.commands import command_operations
from api.routes.health import health_router
from api.routes.lists import list_operations
from api.routes.regions import regions_router
from api.routes.sign_in import sign_in_router
from api.routes.summary import summary_route
from api.wiring import Database, Doors

TITLE = "billing-ledger"


def create_app(databases: tuple[Database, ...]) -> ASGIApp:
    """The application that serves these regions."""
    doors = Doors(databases)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await doors.close()

    app = FastAPI(
        title=TITLE,
        version="1",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    summary = summary_route({code: door.summaries for code, door in doors.regions.items()})
    app.router.routes.append(summary)  # for the methods it does not have
    app.router.routes.extend(routes(operations(doors)))
    app.include_router(sign_in_router(doors.sign_in))
    app.include_router(regions_router(tuple(database.region for database in databases)))
    app.include_router(health_router(databases))
    for expected in (*EXPECTED, Exception):
        app.add_exception_handler(expected, answer)
    return Edge(Shortcut(summary, app))


def operations(doors: Doors) -> list[Operation]:
    """Everything the API can do."""
    return [
        *account_operations(doors.regions),
        *list_operations(doors.regions),
        *command_operations(doors.regions),
        bulk_operation(doors.regions),
    ]


class Shortcut:
    """Takes one route's requests past the framework's layers, which cost more than the read."""

    def __init__(self, route: Route, rest: ASGIApp) -> None:
        self._route = route
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            match, found = self._route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await self._route.app(scope, receive, send)
                return
        await self._rest(scope, receive, send)
