"""Reading a request's JSON body: bounded, strict, and every fault named as a problem."""

import asyncio
import re
from itertools import takewhile
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from api.nesting import DEPTH_MAX, is_too_deep
from api.problems import FieldError, Problem

BODY_BYTES_MAX = 64 * 1024
BODY_S = 30.0
"""For all of a body to arrive: a caller who sends a byte now and then holds nothing for long."""
_MEDIA_TYPE = "application/json"
_PATH = re.compile(r" - at `\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

T = TypeVar("T")
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


async def read_json(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type; raises Problem (400, 408, 413, 415 or 422)."""
    _refuse_other_media(request)
    return _decoded(await _read(request), decoder)


async def read_object(request: Request, *, may_lack: bool = False) -> dict[str, Any]:
    """The body as a JSON object; `may_lack`: an absent one is empty. Raises Problem as read_json."""
    is_told = not may_lack or "content-type" in request.headers
    if is_told:
        _refuse_other_media(request)
    body = await _read(request)
    if may_lack and not body:
        return {}
    if not is_told:
        _refuse_other_media(request)
    found: object = _decoded(body, _any)
    if not isinstance(found, dict):
        raise invalid("the body is not a JSON object")
    return found


def _refuse_other_media(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise Problem("unsupported_media_type", f"send the body as {_MEDIA_TYPE}")


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    if is_too_deep(body):
        raise Problem("malformed_json", f"the body nests deeper than {DEPTH_MAX}")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as fault:
        raise invalid(str(fault)) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Problem("malformed_json", "the body is not JSON in UTF-8") from fault


async def _read(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 9 or int(announced) > BODY_BYTES_MAX):
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise _too_large()
    except TimeoutError:
        says = f"the body must arrive within {BODY_S:.0f} s"
        raise Problem("request_timeout", says, headers={"Connection": "close"}) from None
    except ClientDisconnect as fault:
        raise Problem("malformed_request", "the connection ended within the body") from fault
    return bytes(body)


def _too_large() -> Problem:
    return Problem("payload_too_large", f"the body may have {BODY_BYTES_MAX} bytes")


def invalid(message: str) -> Problem:
    """The problem of a body that msgspec finds fault with: it names the place as `$.lines[0].amount` at the end of its message."""
    place = _PATH.search(message)
    steps = _STEP.findall(place[1]) if place else []
    known = takewhile(lambda step: step[1] != "...", steps)  # it does not say which one it was
    pointer = "".join(f"/{name or index}" for name, index in known)
    says = message[: place.start()] if place else message
    error = FieldError(pointer=pointer, code="invalid", message=says)
    return Problem("invalid_request", f"{pointer or 'the body'}: {says}", errors=[error])
