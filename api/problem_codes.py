"""Which problems an operation may be answered with: what its documentation promises."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from api.operations import JSON, Operation
from api.problems import CODES
from api.security.scope import PUBLIC

_OF_ANY = (
    *("malformed_request", "uri_too_long", "headers_too_large", "unsupported_media_type"),
    *("internal_error", "overloaded", "database_unavailable"),
)
_OF_BODY = (
    *("malformed_json", "payload_too_large", "request_timeout", "unsupported_media_type"),
    "invalid_request",
)
_OF_AMOUNTS = ("invalid_amount", "currency_mismatch", "unknown_currency")
_OF_HEADER = {
    "Idempotency-Key": ("idempotency_key_missing", "idempotency_key_reused", "malformed_request"),
    "If-Match": ("precondition_required", "version_mismatch"),
    "Ledger-Position": ("position_unknown", "view_behind"),
}
_OF_PARAMETER = {
    "after": ("position_unknown",),
    "at": ("position_unknown", "view_behind"),
    "known_at": ("known_at_in_future",),
}


def codes_of(operation: Operation) -> dict[int, list[str]]:
    """The codes by status. Of a status whose codes nothing names, every code is possible."""
    by_status = defaultdict[int, set[str]](set)
    for code in _named(operation):
        by_status[CODES[code][0]].add(code)
    for status in operation.problems:
        if status not in by_status:
            by_status[status] = {code for code, (of, _) in CODES.items() if of == status}
    return {status: sorted(by_status[status]) for status in sorted(by_status)}


def _named(operation: Operation) -> Iterator[str]:
    yield from _OF_ANY
    yield from operation.codes
    if operation.permission is not PUBLIC:
        yield from ("unauthenticated", "forbidden")
        if not operation.permission.with_password_due:
            yield "password_change_required"
    if "{account_number}" in operation.path:
        yield "account_unknown"
    if re.search(r"\{account_number\}/.*\{", operation.path):
        yield "item_unknown"
    if operation.body is not None:
        yield from _OF_BODY if operation.body_type == JSON else ("unsupported_media_type",)
    if operation.parameters:
        yield "invalid_request"
    for header in operation.headers:
        yield from _OF_HEADER.get(header.name, ())
    for name in operation.parameters:
        yield from _OF_PARAMETER.get(name, ())
    if _has_amount(operation.body):
        yield from _OF_AMOUNTS


def _has_amount(body: object) -> bool:
    fields = body.get("properties", {}) if isinstance(body, Mapping) else {}
    return not {"amount", "taxes", "targets"}.isdisjoint(fields)
