"""Every way a request can fail: one table, one form, and no input that yields a 500."""

import inspect
import json
import re
from pathlib import Path

import pytest

from api.problems import CODES, REFUSALS
from ledger import errors
from ledger.errors import Refusal
from tests.api.books import TOKENS
from tests.api.serving import Service

US = TOKENS["us"]
SIGN_IN = {"region": "us", "identifier": "x", "password": "y"}


def refusals() -> dict[str, type[Refusal]]:
    found = inspect.getmembers(errors, inspect.isclass)
    kinds = [kind for _, kind in found if issubclass(kind, Refusal) and kind is not Refusal]
    return {kind.code: kind for kind in kinds}


def test_the_table_of_refusals_is_complete() -> None:
    """Every refusal has a status and a title, and the table has no other codes."""
    assert refusals().keys() == REFUSALS.keys()
    assert len(refusals()) > 40


def test_the_codes_of_the_contract_have_their_status() -> None:
    """The codes that were fixed for callers."""
    fixed = {
        422: (
            *("idempotency_key_reused", "invalid_amount", "currency_mismatch"),
            *("effective_in_future", "known_at_in_future", "period_not_begun"),
        ),
        409: (
            *("account_exists", "account_closed", "charge_already_billed", "nothing_to_bill"),
            *("payment_not_pending", "refund_exceeds_paid"),
        ),
        503: ("view_behind",),
    }
    for status, codes in fixed.items():
        assert dict.fromkeys(codes, status) == {code: CODES[code][0] for code in codes}


def test_every_code_raised_is_in_the_table() -> None:
    """A problem's code that the table lacks could only fail when it is needed."""
    named = set[str]()
    for path in sorted(Path("api").rglob("*.py")):
        named |= set(re.findall(r"\bProblem\(\s*\"([a-z_]+)\"", path.read_text()))
    assert len(named) > 8
    assert named <= CODES.keys()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/accounts/A-1/summary/", 404, "not_found"),
        ("DELETE", "/v1/regions", 405, "method_not_allowed"),
        ("POST", "/v1/accounts/A-1/summary", 405, "method_not_allowed"),
        ("GET", "/v1/sign-in", 405, "method_not_allowed"),
        ("PATCH", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_the_frameworks_own_errors_are_problems(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    """What no route answers has the form of everything else, and 405 says what is allowed."""
    answer = service.ask(path, US, method=method)
    assert (status, code) == (answer.status, answer.code)
    assert ("allow" in answer.headers) == (status == 405)


def test_a_correlation_id_is_taken_over_or_made(service: Service) -> None:
    """A caller's id comes back; one that could not be logged as it is does not."""
    given = service.ask("/v1/nothing", headers={"Correlation-Id": "caller-0001"})
    assert given.json["correlation_id"] == given.headers["correlation-id"] == "caller-0001"
    for odd in ("short", "x" * 65, 'a"b{}<>cdefgh'):
        made = service.ask("/healthz", headers={"Correlation-Id": odd}).headers["correlation-id"]
        assert re.fullmatch("[0-9a-f]{16}", made)


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"", 400, "malformed_json", None),
        (b"{", 400, "malformed_json", None),
        (b"\xff\xfe", 400, "malformed_json", None),
        (b"[" * 60_000, 400, "malformed_json", None),
        (b'{"region":"\\ud800"}', 400, "malformed_json", None),
        (b"[]", 422, "invalid_request", ""),
        (b"null", 422, "invalid_request", ""),
        (b"{}", 422, "invalid_request", ""),
        (b"1" * 5_000, 422, "invalid_request", ""),
        (json.dumps({**SIGN_IN, "region": 1}).encode(), 422, "invalid_request", "/region"),
        (json.dumps({**SIGN_IN, "region": None}).encode(), 422, "invalid_request", "/region"),
        (json.dumps({**SIGN_IN, "password": ""}).encode(), 422, "invalid_request", "/password"),
        (json.dumps({**SIGN_IN, "x": 1}).encode(), 422, "invalid_request", ""),
        (
            json.dumps({**SIGN_IN, "password": "x" * 1025}).encode(),
            422,
            "invalid_request",
            "/password",
        ),
        (b"x" * 70_000, 413, "payload_too_large", None),
    ],
)
def test_a_body_that_cannot_be_read_is_named(
    service: Service, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    """400 for what is not JSON, 422 for what is not the contract's, with a pointer to it."""
    headers = {"Content-Type": "application/json"}
    answer = service.ask("/v1/sign-in", method="POST", headers=headers, body=body)
    assert (status, code) == (answer.status, answer.code)
    if pointer is not None:
        assert [pointer] == [error["pointer"] for error in answer.json["errors"]]


def test_a_body_of_another_media_type_is_not_read(service: Service) -> None:
    """Forms of other sites cannot sign anybody in."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": media_type}
        body = json.dumps(SIGN_IN).encode()
        answer = service.ask("/v1/sign-in", method="POST", headers=headers, body=body)
        assert (415, "unsupported_media_type") == (answer.status, answer.code)


HOSTILE_TEXTS = (
    *("\x00", "a\x00b", "\x1b[2J", "\ud7ff\uffff", "\u202e", "' OR 1=1 --", "$1", "%s", "{}", "\\"),
    *("٣", "9" * 400, "-1", "1e999", "NaN", "../../etc/passwd", "a/b", "x" * 4_000),
)
HOSTILE_PATHS = (
    *(b"%00", b"%", b"%zz", b"%ff%fe", b"%ed%a0%80", b"%c0%ae", b"..%2f..", b"%2e%2e", b"\xff"),
    *(b"A-1%0a", b"A-1%20", b"*", b"A-1?", b"A-1?at", b"A-1;x=1", b"%F0%9F%92%A9", b"a" * 30_000),
)


def test_no_path_query_or_header_yields_a_500(service: Service) -> None:
    """Bad percent-encoding, NUL, odd bytes and huge numbers are the caller's fault, or harmless."""
    statuses = []
    for part in HOSTILE_PATHS:
        for path in (b"/v1/accounts/" + part + b"/summary", b"/v1/accounts/A-1/summary?at=" + part):
            for header in (b"If-None-Match: x", b"Ledger-Position: " + part[:200]):
                request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                request += b"Authorization: Bearer " + US.encode() + b"\r\n" + header + b"\r\n\r\n"
                statuses.append((path[:60], service.raw(request)[9:12]))
    assert len(statuses) == 4 * len(HOSTILE_PATHS)
    assert [] == [one for one in statuses if not one[1].startswith((b"2", b"4"))]


def test_no_text_in_a_body_yields_a_500(service: Service) -> None:
    """Whatever is typed at sign-in is a wrong sign-in or a body that is not the contract's."""
    for n, text in enumerate(HOSTILE_TEXTS):
        for field in SIGN_IN:
            answer = service.post("/v1/sign-in", {**SIGN_IN, field: text}, f"203.0.113.{n}")
            assert answer.status in (401, 422), (field, text, answer)
            assert answer.code in ("sign_in_failed", "invalid_request")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/regions HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /v1/regions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        b"POST /v1/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_does_no_harm(service: Service, request_bytes: bytes) -> None:
    """Broken requests get a 4xx or nothing, and the service goes on."""
    assert not service.raw(request_bytes, then_gone=True).startswith(b"HTTP/1.1 5")
    assert service.ask("/healthz").status == 200


def test_a_caller_that_goes_away_is_no_fault(service: Service) -> None:
    """A connection that ends within its body leaves no traceback."""
    service.raw(
        b"POST /v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 999\r\n\r\n{",
        then_gone=True,
    )
    assert service.ask("/healthz").status == 200
    assert "internal_error" not in service.errors.read_text()
