"""A worker: one event loop that serves every region on a socket it shares with the others."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from api.wiring import Database, Doors

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

DRAIN_S_MAX = 10
KEEP_ALIVE_S = 30


def work(
    databases: tuple[Database, ...],
    listening: socket.socket,
    proxies: tuple[str, ...],
    fonts: Path | None,
) -> None:
    """Serves until told to stop by SIGTERM; requests under way are answered first, streams end."""
    # Not at the top: the parent, and every other command, only name this function, and would take
    # half as long again to start with the web framework loaded.
    from api.app import create_app
    from api.serving.draining import DrainingServer

    doors = Doors(databases, fonts)
    config = server_config(create_app(doors), proxies)
    DrainingServer(config, doors.closing).run(sockets=[listening])


def server_config(app: ASGIApp, proxies: tuple[str, ...]) -> uvicorn.Config:
    """How an application is served; `proxies` are believed who calls, nobody else is.

    A baseline measured against the service is served alike.
    """
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
        proxy_headers=bool(proxies),
        # Unset, it would be read from the environment, and else be whoever calls on loopback.
        forwarded_allow_ips=list(proxies),
    )
