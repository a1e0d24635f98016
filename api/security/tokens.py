"""Bearer tokens: `<region>.<random>`, opaque, kept only as a digest."""

import re
import secrets
from hashlib import sha256

TOKEN_BYTES = 32
TOKEN_SCHEMA = {"type": "string", "pattern": "^[a-z][a-z0-9]{0,15}[.][A-Za-z0-9_-]{43}$"}
_FORM = re.compile(r"([a-z][a-z0-9]{0,15})\.([A-Za-z0-9_-]{43})")


def new_token(region: str) -> str:
    """A fresh token of a region, with 256 random bits."""
    return f"{region}.{secrets.token_urlsafe(TOKEN_BYTES)}"


def digest(token: str) -> bytes:
    """What the database knows a token by. The bits are random: no salt, no slow hash is needed."""
    return sha256(token.encode()).digest()


def region_of(token: str) -> str | None:
    """The region a token claims to be of; None when it has not a token's form."""
    found = _FORM.fullmatch(token)
    return found[1] if found else None
