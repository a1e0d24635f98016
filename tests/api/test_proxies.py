"""Who is calling: the other end of the connection, or whom a trusted proxy names."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api.serving.worker import server_config


def caller(proxies: tuple[str, ...], host: str) -> str:
    """Whom the application sees when a host says that it calls for 203.0.113.7."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    config = server_config(app, proxies)
    config.load()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "client": (host, 40_000),
        "headers": [(b"x-forwarded-for", b"203.0.113.7")],
    }
    asyncio.run(config.loaded_app(scope, nothing, nothing))
    [found] = seen
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.0.0.1", "203.0.113.9"])
def test_nobody_says_who_is_calling_unless_trusted(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not over loopback either, and whatever the environment of the process holds."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    assert host == caller((), host)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    assert host == caller((), host)


def test_a_proxy_that_is_trusted_says_who_is_calling() -> None:
    """By its address or network, or with everybody; who is not among them is who they are."""
    assert "203.0.113.7" == caller(("127.0.0.1",), "127.0.0.1")
    assert "203.0.113.7" == caller(("10.0.0.0/8", "::1"), "10.1.2.3")
    assert "203.0.113.7" == caller(("*",), "192.0.2.1")
    assert "192.0.2.1" == caller(("10.0.0.0/8",), "192.0.2.1")
