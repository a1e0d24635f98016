"""The OpenAPI 3.1 document, made of the operations: what it says is what routes and checks use."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, get_args

import msgspec
from msgspec import UNSET

from api.examples import Example, Request, examples
from api.operations import NDJSON, Operation, Schema
from api.problem_codes import codes_of
from api.problems import CODES, MEDIA_TYPE, ProblemDetails
from api.security.scope import PUBLIC
from api.wire_values import identifier, invoice

VERSION = "3.1.1"
_PLACES = {"number": invoice.schema}
"""What stands in a path, but for ids given by callers."""
_REF = "#/components/schemas/{name}"
_SAYS = """A ledger of charges, payments and everything else that moves what a customer owes.

Money is `{"amount":"61.11","currency":"USD"}`; requests may give the bare decimal string. Days are
`YYYY-MM-DD` in the region's zone, instants RFC 3339 in UTC, positions `<lane>-<position>`.
Every error is a problem (RFC 9457) whose `code` is one of those listed for its status.
"""
_REPLY_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Correlation-Id": {
        "description": "The caller's own, if it was fit to be logged, or a fresh one: for the log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
    },
    "Ledger-Position": {
        "description": "What this answer knows of: send it with a read that must not be older.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "For If-None-Match or If-Match.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "This was done before, by a request with the same key.",
        "schema": {"const": "true"},
    },
    "Location": {
        "description": "The path of what was made.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]{1,5}$"},
    },
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
}
_CORRELATION_ID = {
    "name": "Correlation-Id",
    "in": "header",
    "description": "The caller's name for this request: 8 to 64 of `A-Z a-z 0-9 . _ -`.",
    "schema": {"type": "string"},
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations, as JSON that any OpenAPI 3.1 tool reads."""
    types = _Types(operations)
    codes = {code for one in operations for named in codes_of(one).values() for code in named}
    shown = examples()
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _described(operation, types, shown.get(operation.name))
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    made = {
        "openapi": VERSION,
        "info": {"title": "billing-ledger", "version": "1", "description": _SAYS},
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": types.components,
            "responses": {code: _problem(CODES[code][0], [code]) for code in sorted(codes)},
            "headers": _REPLY_HEADERS,
            "parameters": {"Correlation-Id": _CORRELATION_ID},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "<region>.<random>",
                    "description": "The token of a sign-in, or of a service.",
                }
            },
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return plain


class _Types:
    """The schemas of all types that are sent or answered, and references to them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._types = list(_types(operations))
        schemas, components = msgspec.json.schema_components(self._types, ref_template=_REF)
        self._schemas = schemas
        self.components = {name: _tidied(schema) for name, schema in components.items()}

    def schema(self, of: Any) -> dict[str, Any]:
        if isinstance(of, UnionType):
            return {"anyOf": [self.schema(one) for one in get_args(of)]}
        return self._schemas[self._types.index(of)]


def _types(operations: Sequence[Operation]) -> Iterator[Any]:
    yield ProblemDetails
    for operation in operations:
        for of in operation.replies.values():
            if of is not None:
                yield from get_args(of) if isinstance(of, UnionType) else (of,)
        if operation.body is not None and not isinstance(operation.body, Mapping):
            yield operation.body


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    return schema


def _described(operation: Operation, types: _Types, example: Example | None) -> dict[str, Any]:
    permission = operation.permission
    is_public = permission is PUBLIC
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.says,
        **({"description": operation.details} if operation.details else {}),
        "security": [] if is_public else [{"bearer": []}],
        "x-permission": {
            "name": permission.name,
            "roles": list(permission.roles),
            "scope": permission.scope,
        },
        "parameters": [*_parameters(operation, example)],
    }
    if operation.body is not None:
        body = operation.body
        schema = body if isinstance(body, Mapping) else types.schema(body)
        found["requestBody"] = {
            "required": operation.body_required,
            "content": _content(
                operation.body_type, schema, example.request.body if example else UNSET
            ),
        }
    found["responses"] = {
        **{str(status): _problems(status, codes) for status, codes in codes_of(operation).items()},
        **{str(status): _reply(operation, status, types, example) for status in operation.replies},
    }
    return found


def _parameters(operation: Operation, example: Example | None) -> Iterator[dict[str, Any]]:
    asked = example.request if example else Request({}, {}, {})
    for name in re.findall(r"\{(\w+)\}", operation.path):
        schema = operation.places.get(name) or _PLACES.get(name, identifier.schema)
        found = {"name": name, "in": "path", "required": True, "schema": schema}
        yield _shown(found, asked.path)
    for where, known, given in (
        ("query", operation.parameters.values(), asked.query),
        ("header", operation.headers, asked.headers),
    ):
        for one in known:
            found = {
                "name": one.name,
                "in": where,
                "required": one.required,
                "description": one.says,
                "schema": one.schema,
            }
            yield _shown(found, given)
    yield {"$ref": "#/components/parameters/Correlation-Id"}


def _shown(parameter: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The parameter with its example, as what its schema takes."""
    text = given.get(parameter["name"])
    if text is None:
        return parameter
    is_text = parameter["schema"].get("type") not in ("integer", "boolean")
    return {**parameter, "example": text if is_text else msgspec.json.decode(text)}


def _reply(
    operation: Operation, status: int, types: _Types, example: Example | None
) -> dict[str, Any]:
    read = {header.name for header in operation.headers}
    given = {
        "Location": status == 201,
        "Ledger-Position": not read.isdisjoint(("Idempotency-Key", "Ledger-Position")),
        "Idempotency-Replayed": "Idempotency-Key" in read,
        "ETag": "If-None-Match" in read,
    }
    found: dict[str, Any] = {
        "description": _MEANINGS[status],
        "headers": _headers(
            *(name for name, is_given in given.items() if is_given),
            *operation.reply_headers.get(status, ()),
        ),
    }
    if operation.replies[status] is not None:
        schema = types.schema(operation.replies[status])
        reply = example.reply if example and example.reply.status == status else None
        media_type = operation.reply_types.get(status, operation.reply_type)
        body = UNSET if reply is None or reply.body is None else reply.body
        found["content"] = _content(media_type, schema, body)
    return found


def _content(media_type: str, schema: Schema, example: Any) -> dict[str, Any]:
    """Of lines, schema and example are an array's: each item is a line."""
    lines = {"type": "array", "items": schema}
    found: dict[str, Any] = {"schema": lines if media_type == NDJSON else schema}
    if example is not UNSET:
        found["example"] = example
    return {media_type: found}


_MEANINGS = {
    200: "Done",
    201: "Made",
    202: "Begun",
    204: "Done",
    304: "Not changed since",
    503: "Not ready",
}


def _problems(status: int, codes: Sequence[str]) -> dict[str, Any]:
    if len(codes) == 1:
        return {"$ref": f"#/components/responses/{codes[0]}"}
    return _problem(status, codes)


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    titles = "\n".join(f"- `{code}`: {CODES[code][1]}" for code in codes)
    headers = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
    return {
        "description": titles,
        "headers": _headers(*headers.get(status, ())),
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": _REF.format(name="ProblemDetails")},
                        {"properties": {"status": {"const": status}, "code": {"enum": codes}}},
                    ]
                }
            }
        },
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("Correlation-Id", *names)}
