"""How often sign-in may be tried: counted before anything is hashed, in a table all processes share."""

from hashlib import sha256
from ipaddress import ip_address, ip_network

WINDOW_S = 15 * 60
TRIES_OF_ACCOUNT_AND_SOURCE = 10
TRIES_OF_SOURCE = 300
"""A source may be an office of many customers."""
TRIES_OF_LOGIN = 10
"""Of what is asked of whoever has the password or a session already, wherever it is sent from."""
_IPV6_PREFIX = 64  # what one subscriber has


def account_and_source(region: str, identifier: str, source: str) -> bytes:
    """The bucket of one identifier tried from one source."""
    return _bucket("account", region, identifier, _network(source))


def reset_asked(region: str, identifier: str, source: str) -> bytes:
    """The bucket of resets asked for one identifier from one source."""
    return _bucket("reset", region, identifier, _network(source))


def own_password(region: str, login: str) -> bytes:
    """The bucket of passwords tried by whoever is signed in as that login."""
    return _bucket("own password", region, login)


def second_factor(region: str, login: str) -> bytes:
    """The bucket of codes tried by whoever has that login's password."""
    return _bucket("second factor", region, login)


def source_alone(source: str) -> bytes:
    """The bucket of all that is tried from one source."""
    return _bucket("source", _network(source))


def _bucket(*parts: str) -> bytes:
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(framed.encode("utf-8", "surrogatepass")).digest()


def _network(source: str) -> str:
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if address.version == 4:
        return source
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
