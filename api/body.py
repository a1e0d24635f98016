"""Reading a request's JSON body: bounded, strict, and every fault named as a problem."""

import re
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from api.problems import FieldError, Problem

BODY_BYTES_MAX = 64 * 1024
_MEDIA_TYPE = "application/json"
_PATH = re.compile(r" - at `\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

T = TypeVar("T")


async def read_json(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type; raises Problem (400, 413, 415 or 422)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise Problem("unsupported_media_type", f"send the body as {_MEDIA_TYPE}")
    body = await _read(request)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as fault:
        raise _invalid(str(fault)) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Problem("malformed_json", "the body is not JSON in UTF-8") from fault


async def _read(request: Request) -> bytes:
    too_large = Problem("payload_too_large", f"the body may have {BODY_BYTES_MAX} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 9 or int(announced) > BODY_BYTES_MAX):
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise too_large
    except ClientDisconnect as fault:
        raise Problem("malformed_request", "the connection ended within the body") from fault
    return bytes(body)


def _invalid(message: str) -> Problem:
    """msgspec names the place as `$.lines[0].amount` at the end of its message."""
    place = _PATH.search(message)
    steps = _STEP.findall(place[1]) if place else []
    pointer = "".join(f"/{name or index}" for name, index in steps)
    says = message[: place.start()] if place else message
    error = FieldError(pointer=pointer, code="invalid", message=says)
    return Problem("invalid_request", f"{pointer or 'the body'}: {says}", errors=[error])
