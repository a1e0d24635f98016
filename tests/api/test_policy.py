"""Denied by default: no route without an operation that says who may."""

from collections.abc import Iterable

import pytest
from starlette.routing import BaseRoute, Route

from api.app import framework
from api.openapi import document
from api.operations import Operation, routes
from api.security.scope import PERMISSIONS
from api.wiring import Doors
from tests.api.asking import operations_of
from tests.api.conftest import Deployment


@pytest.fixture(scope="module")
def known(deployment: Deployment) -> list[Operation]:
    return operations_of(deployment.databases)


def outside(served: Iterable[BaseRoute], known: Iterable[Operation]) -> list[str]:
    """Methods and paths that are served without an operation that says who may."""
    listed = {(one.method, one.path) for one in known if one.permission in PERMISSIONS}
    found = []
    for route in served:
        if not isinstance(route, Route):
            found.append(repr(route))
            continue
        methods = route.methods or {"*"}
        found += [
            f"{method} {route.path}"
            for method in sorted(methods - ({"HEAD"} if "GET" in methods else set()))
            if (method, route.path) not in listed
        ]
    return found


def test_every_route_has_an_operation_and_a_permission(
    deployment: Deployment, known: list[Operation]
) -> None:
    """Nothing is served that the list of operations, and so the document, does not name."""
    app = framework(Doors(tuple(deployment.databases.values())))
    assert [] == outside(app.router.routes, known)
    assert sorted(path for path in document(known)["paths"]) == sorted(
        {route.path for route in app.router.routes if isinstance(route, Route)}
    )
    assert len(known) > 25


def test_a_route_without_an_operation_is_found(known: list[Operation]) -> None:
    """The check above can fail: for a path, for a method, and for what is no route."""

    async def endpoint(request: object) -> None:
        raise AssertionError

    made = routes(known)
    assert [] == outside(made, known)
    added = [
        Route("/v1/new", endpoint),
        Route(made[0].path, endpoint, methods=["DELETE"]),
        Route("/v1/any", endpoint, methods=None),
    ]
    found = outside([*made, *added], known)
    assert [f"DELETE {made[0].path}", "GET /v1/any", "GET /v1/new"] == sorted(found)
    assert 1 == len(outside([BaseRoute()], known))
