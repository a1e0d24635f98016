"""GET /openapi.json: what the API can do, for people and tools."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.openapi import document
from api.operations import JSON, Operation
from api.security.scope import PUBLIC


def openapi_operation(others: Sequence[Operation]) -> Operation:
    """The operation that describes itself and the others; made once, when first asked."""

    @cache
    def body() -> bytes:
        return msgspec.json.encode(document([*others, operation]))

    async def handle(request: Request) -> Response:
        return Response(body(), media_type=JSON)

    operation = Operation(
        method="GET",
        path="/openapi.json",
        name="get_openapi",
        says="This document",
        tag="public",
        permission=PUBLIC,
        handle=handle,
        replies={200: dict[str, Any]},
    )
    return operation
