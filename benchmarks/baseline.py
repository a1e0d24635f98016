"""Async FastAPI on the service's own server program: `python -m benchmarks.baseline PORT`.

`hello` answers what every introduction to FastAPI does. `echo` parses the body of a charge with the
service's own model, and does nothing else.
"""

import sys

import msgspec
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.body import read_object
from api.serving import service
from api.serving.worker import server_config
from api.wire import command

_encode = msgspec.json.Encoder().encode


def application() -> FastAPI:
    """The two routes."""
    app = FastAPI(openapi_url=None)

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.post("/v1/accounts/{account_number}/charges")
    async def echo(account_number: str, request: Request) -> Response:
        body = await read_object(request)
        parsed = command("post_charge", body, currency="USD")
        return Response(_encode(parsed), status_code=201, media_type="application/json")

    return app


def main() -> None:
    """Serves on the port given until told to stop."""
    listening = service.listen("127.0.0.1", int(sys.argv[1]))
    print("serving", flush=True)
    uvicorn.Server(server_config(application(), ())).run(sockets=[listening])


if __name__ == "__main__":
    main()
