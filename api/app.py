"""The HTTP application: routes put together, and every framework error turned into a problem."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.edge import EXPECTED, Edge, answer
from api.operations import Operation, direct, routes
from api.reads import SummaryReader
from api.routes.account_events import account_event_operation
from api.routes.accounts import account_operations
from api.routes.bulk import bulk_operation
from api.routes.closings import closing_operations
from api.routes.commands import command_operations
from api.routes.documents import document_operations
from api.routes.dunning import dunning_operation
from api.routes.explain import explain_operation
from api.routes.feed import feed_operations
from api.routes.finance_exports import export_operations
from api.routes.finance_journal import journal_operations
from api.routes.finance_reconciliation import reconciliation_operation
from api.routes.finance_standings import standing_operations
from api.routes.health import health_operations
from api.routes.lists import list_operations
from api.routes.logins import login_operations
from api.routes.me import me_operations
from api.routes.month_ends import month_end_operations
from api.routes.openapi import openapi_operation
from api.routes.password_resets import password_reset_operations
from api.routes.regions import region_operations
from api.routes.second_factor import second_factor_operations
from api.routes.sign_in import sign_in_operations
from api.routes.summary import SummaryEndpoint, summary_operation, summary_route
from api.routes.tokens import token_operations
from api.turning_away import TurningAway
from api.wiring import Doors

TITLE = "billing-ledger"


def create_app(doors: Doors) -> ASGIApp:
    """The application that serves the regions of these doors."""
    commands = [direct(one) for one in command_operations(doors.regions)]
    summaries = SummaryEndpoint(_summaries(doors))
    shortcut = Shortcut([summary_route(summaries), *commands], framework(doors))
    turning_away = TurningAway(shortcut.route_of, doors.regions)
    return Edge(shortcut, summaries, turning_away)


def framework(doors: Doors) -> FastAPI:
    """The application without its outermost layers: every route, made of the operations."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await doors.close()

    app = FastAPI(
        title=TITLE,
        lifespan=lifespan,
        openapi_url=None,  # get_openapi answers instead
        redirect_slashes=False,
    )
    app.router.routes.extend(routes(operations(doors)))
    for expected in (*EXPECTED, Exception):
        app.add_exception_handler(expected, _answer)
    return app


async def _answer(request: Request, fault: Exception) -> Response:
    return answer(request, fault)  # itself it would be run in a thread, which costs more than it


def operations(doors: Doors) -> list[Operation]:
    """Everything the API can do, in the order of its documentation."""
    found = [
        *sign_in_operations(doors.sign_in),
        *region_operations(tuple(database.region for database in doors.databases)),
        *password_reset_operations(doors.resets),
        *me_operations(doors.regions, doors.passwords),
        *second_factor_operations(doors.regions, doors.passwords),
        summary_operation(_summaries(doors)),
        *account_operations(doors.regions),
        *document_operations(doors.regions, doors.typesetters),
        *list_operations(doors.regions),
        account_event_operation(doors.regions),
        explain_operation(doors.regions),
        *command_operations(doors.regions),
        bulk_operation(doors.regions),
        *month_end_operations(doors.regions),
        *closing_operations(doors.regions),
        *journal_operations(doors.regions),
        *standing_operations(doors.regions),
        *export_operations(doors.regions),
        reconciliation_operation(doors.regions),
        dunning_operation(doors.regions),
        *feed_operations(doors.regions),
        *login_operations(doors.regions, doors.passwords),
        *token_operations(doors.regions),
        *health_operations(doors.databases),
    ]
    return [*found, openapi_operation(found)]


def _summaries(doors: Doors) -> dict[str, SummaryReader]:
    return {code: door.summaries for code, door in doors.regions.items()}


class Shortcut:
    """Takes the requests of some routes past the framework's layers, which cost more than they do.

    A route is found by its method and the last part of its path, which must be a fixed one.
    """

    def __init__(self, routes: Sequence[Route], rest: ASGIApp) -> None:
        self._rest = rest
        self._routes: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            assert not route.path.endswith("}"), route.path
            for method in route.methods or ():
                self._routes.setdefault((method, _last_part(route.path)), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.route_of(scope) if scope["type"] == "http" else None
        if route is None:
            await self._rest(scope, receive, send)
        else:
            await route.app(scope, receive, send)

    def route_of(self, scope: Scope) -> Route | None:
        """The route of a request, which then is in its scope; None when it is another's."""
        for route in self._routes.get((scope["method"], _last_part(scope["path"])), ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route
        return None


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]
