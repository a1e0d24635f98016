"""What the head of a request may be: sizes, and nothing that two readers would read differently."""

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from api.problems import Problem

TARGET_BYTES_MAX = 8_192
"""Path and query; RFC 9110, 4.1 wants at least 8,000 taken."""
HEADERS_BYTES_MAX = 16 * 1024
_PER_HEADER = len(": \r\n")
_ONCE = frozenset(
    (
        *(b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key"),
        *(b"if-match", b"ledger-position", b"last-event-id", b"transfer-encoding"),
    )
)
"""Which of two would be read? A proxy and the service need not agree: whoever sends two is refused."""

Headers = Iterable[tuple[bytes, bytes]]


def refuse_odd_head(scope: Scope) -> None:
    """Raises Problem (400, 414, 415, 431) for a head that is too large or can be misread."""
    raw_path: bytes = scope["raw_path"]
    if len(raw_path) + len(scope["query_string"]) > TARGET_BYTES_MAX:
        raise Problem("uri_too_long", f"path and query may have {TARGET_BYTES_MAX} bytes together")
    if b"%" in raw_path:
        _refuse_odd_path(raw_path)
    _refuse_odd_headers(scope["headers"], scope["http_version"])


def _refuse_odd_path(raw_path: bytes) -> None:
    # The server decodes what is no UTF-8 to U+FFFD: two different paths would become one.
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise Problem("malformed_request", "the path is not text in UTF-8") from None
    if any(char < " " or char == "\x7f" for char in path):
        raise Problem("malformed_request", "there are control characters in the path")


def _refuse_odd_headers(headers: Headers, http_version: str) -> None:
    size, seen = 0, dict[bytes, bytes]()
    for name, value in headers:
        size += len(name) + len(value) + _PER_HEADER
        if name in _ONCE:
            if name in seen:
                raise Problem("malformed_request", f"the header {name.decode()} is there twice")
            seen[name] = value
    if seen.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        takes = {"Accept-Encoding": "identity"}  # RFC 9110, 12.5.3
        raise Problem("unsupported_media_type", "send the body uncompressed", headers=takes)
    if seen.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
        raise Problem("malformed_request", "the only transfer coding taken is chunked")
    if size > HEADERS_BYTES_MAX:
        raise Problem("headers_too_large", f"the headers may have {HEADERS_BYTES_MAX} bytes")
    if b"host" not in seen and http_version == "1.1":  # RFC 9112, 3.2
        raise Problem("malformed_request", "a request of HTTP/1.1 names its host")
