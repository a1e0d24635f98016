"""A worker: one event loop that serves every region on a socket it shares with the others."""

import socket
from typing import TYPE_CHECKING

from api.wiring import Database, Doors

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Config

DRAIN_S_MAX = 10
KEEP_ALIVE_S = 30


def work(databases: tuple[Database, ...], listening: socket.socket) -> None:
    """Serves until told to stop by SIGTERM; requests under way are answered first, streams end."""
    # Not at the top: the parent, and every other command, only name this function, and would take
    # half as long again to start with the web framework loaded.
    from api.app import create_app
    from api.serving.draining import DrainingServer

    doors = Doors(databases)
    config = configuration(create_app(doors))
    DrainingServer(config, doors.closing).run(sockets=[listening])


def configuration(app: "ASGIApp") -> "Config":
    """How an application is served; a baseline measured against the service is served alike."""
    import uvicorn

    from api.serving.protocol import BoundedProtocol

    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S_MAX,
    )
