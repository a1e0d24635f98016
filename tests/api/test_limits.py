"""Limits at the edge: heads, bodies, depth, text and 64-bit amounts, over the running service."""

import json
import uuid

import pytest

from api.limits import HEADERS_BYTES_MAX, TARGET_BYTES_MAX
from api.nesting import DEPTH_MAX, is_too_deep
from ledger.money import AMOUNT_MINOR_MAX, decimal_text
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import Answer, Service

US = TOKENS["us"]
BEARER = b"Authorization: Bearer " + US.encode() + b"\r\n"
JSON = {"Content-Type": "application/json"}
LARGEST = "9999999999999999.99"


def asked(service: Service, path: bytes, *headers: bytes, method: bytes = b"GET") -> Answer:
    """The answer to a request whose head is sent as it stands."""
    lines = b"".join(header + b"\r\n" for header in headers)
    head = method + b" " + path + b" HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n"
    top, _, body = service.raw(head).partition(b"\r\n\r\n")
    status, *given = top.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in given)
    return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (b"/v1/accounts/" + b"a" * TARGET_BYTES_MAX + b"/summary", 414, "uri_too_long"),
        (b"/v1/accounts/A-1/summary?at=" + b"0" * TARGET_BYTES_MAX, 414, "uri_too_long"),
        (b"/v1/accounts/A-1%00/summary", 400, "malformed_request"),
        (b"/v1/accounts/A-1%0d%0a/summary", 400, "malformed_request"),
        (b"/v1/accounts/%ff%fe/summary", 400, "malformed_request"),
        (b"/v1/accounts/%ed%a0%80/summary", 400, "malformed_request"),
        (b"/v1/accounts/%c0%ae/summary", 400, "malformed_request"),
        (b"/v1/accounts/A-1\xff/summary", 400, "malformed_request"),
        (b"/v1/accounts/A-1/summary?" + b"&".join([b"x=1"] * 17), 422, "invalid_request"),
        (b"/v1/accounts/A-1/summary?at=1-%00", 422, "position_unknown"),
        (b"/v1/accounts/A-1/charges?limit=%ff", 422, "invalid_request"),
        (b"/v1/accounts/A-1/charges?from=%ed%a0%80", 422, "invalid_request"),
        (b"/v1/accounts/A-1/charges?" + b"&".join([b"limit=1"] * 17), 422, "invalid_request"),
    ],
)
def test_an_address_has_bounds(service: Service, path: bytes, status: int, code: str) -> None:
    """Too long, no text, or more parameters than there are: refused with a problem, never a 500."""
    answer = asked(service, path, b"Host: x", BEARER.strip())
    assert (status, code) == (answer.status, answer.code)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([b"Host: x", b"X: " + b"a" * HEADERS_BYTES_MAX], 431, "headers_too_large"),
        ([b"Host: x", *[b"X: y"] * (HEADERS_BYTES_MAX // 5)], 431, "headers_too_large"),
        ([], 400, "malformed_request"),
        ([b"Host: x", b"Host: y"], 400, "malformed_request"),
        ([b"Host: x", BEARER.strip(), BEARER.strip()], 400, "malformed_request"),
        ([b"Host: x", b"Idempotency-Key: a", b"idempotency-key: b"], 400, "malformed_request"),
        ([b"Host: x", b"Ledger-Position: 1-1", b"Ledger-Position: 1-2"], 400, "malformed_request"),
        ([b"Host: x", b"Content-Encoding: gzip"], 415, "unsupported_media_type"),
        ([b"Host: x", b"Transfer-Encoding: gzip, chunked"], 400, "malformed_request"),
        ([b"Host: x", b"Transfer-Encoding: identity"], 400, "malformed_request"),
        ([b"Host: x", b"Authorization: Bearer \xff\xfe"], 401, "unauthenticated"),
    ],
)
def test_a_head_has_bounds(service: Service, headers: list[bytes], status: int, code: str) -> None:
    """Too much of it, two of what is read once, and codings that are not taken are refused."""
    answer = asked(service, b"/v1/accounts/A-1/summary", *headers)
    assert (status, code) == (answer.status, answer.code)


def test_what_is_within_the_bounds_is_answered(service: Service) -> None:
    """Long but not too long: the limits refuse nobody who keeps them."""
    allowed = [b"Host: x", BEARER.strip(), b"Content-Encoding: identity", b"X: " + b"a" * 12_000]
    assert asked(service, b"/v1/accounts/A-1/summary", *allowed).status == 200
    percent = asked(service, b"/v1/accounts/%41%2d1/summary", *allowed)
    assert (percent.status, percent.json["account_number"]) == (200, "A-1")
    long = b"/v1/accounts/" + b"a" * (TARGET_BYTES_MAX - 13)
    assert asked(service, long, *allowed).code == "account_unknown"


def charged(service: Service, account: str, amount: object, **more: object) -> Answer:
    """The answer to a charge on an account, with a key of its own."""
    id = uuid.uuid4().hex
    given = {"charge_id": id, "amount": amount, "description": "Calls", "category": "voice", **more}
    return sent(service, f"/v1/accounts/{account}/charges", json.dumps(given).encode())


def sent(service: Service, path: str, body: bytes) -> Answer:
    headers = {**JSON, "Idempotency-Key": uuid.uuid4().hex}
    return service.ask(path, US, method="POST", headers=headers, body=body)


def opened(service: Service, account: str, **more: object) -> Answer:
    given = {
        "account_number": account,
        "company": "Example Traders",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
        "opened_on": "2020-01-01",
        **more,
    }
    return sent(service, "/v1/accounts", json.dumps(given).encode())


@pytest.fixture(scope="module")
def account(service: Service) -> str:
    """An account that only these tests charge."""
    number = f"TEXT-{uuid.uuid4().hex[:8]}"
    assert opened(service, number).status == 201
    return number


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (nested(100_000), 413, "payload_too_large"),
        (nested(30_000), 400, "malformed_json"),
        (b"[" * 60_000, 400, "malformed_json"),
        (nested(10_000, b'{"a":', b"}"), 400, "malformed_json"),
        (b'{"amount":' + nested(900) + b"}", 400, "malformed_json"),
        (b'{"amount":' + nested(DEPTH_MAX) + b"}", 400, "malformed_json"),
        (b'{"amount":' + nested(DEPTH_MAX - 1) + b"}", 422, "invalid_request"),
        (b'{"amount":"' + b"[" * 1_000 + b'"}', 422, "invalid_request"),
        (b'{"amount":' + b"9" * 4_000 + b"}", 422, "invalid_request"),
        (b'{"amount":' + b"9" * 40_000 + b"}", 422, "invalid_request"),
        (b'{"amount":1e400}', 422, "invalid_request"),
        (b'{"amount":"\\ud800"}', 400, "malformed_json"),
        (b'{"amount":"\xc0\xae"}', 400, "malformed_json"),
    ],
)
def test_a_body_has_bounds(service: Service, body: bytes, status: int, code: str) -> None:
    """Nesting, size and numbers are bounded before anything walks them."""
    answer = sent(service, "/v1/accounts/A-1/charges", body)
    assert (status, code) == (answer.status, answer.code)


@pytest.mark.parametrize("number", [b"1e400", b"9" * 40_000])
def test_a_fault_without_a_known_place_points_nowhere(service: Service, number: bytes) -> None:
    """A pointer is one into what was sent (RFC 6901), or empty: the whole of it."""
    answer = sent(service, "/v1/accounts/A-1/charges", b'{"amount":' + number + b"}")
    [error] = answer.json["errors"]
    assert "" == error["pointer"]
    assert "out of range" in error["message"]


def test_depth_is_counted_outside_of_strings() -> None:
    """Brackets within strings, escaped quotes and all, are text; many side by side are not deep."""
    assert not is_too_deep(json.dumps(["[" * 100, '"' + "{" * 100, "\\"]).encode())
    assert not is_too_deep(json.dumps([[]] * 1_000).encode())
    assert is_too_deep(b'["\\\\",' + nested(DEPTH_MAX) + b"]")
    assert not is_too_deep(b'["\\\\",' + nested(DEPTH_MAX - 1) + b"]")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *(("Zoë", 201), ("\u05d0\u05d1 \u200f12", 201), ("\U0001f9fe", 201), ("a\u200db", 201)),
        *(("a\x00b", 422), ("a\x1b[2Jb", 422), ("a\nb", 422), ("a\x7fb", 422), ("a\x85b", 422)),
        *(("a\u2028b", 422), ("a\u202eb", 422), ("a\u2066b", 422), ("a\u2069b", 422)),
        *(("   ", 422), ("a" * 501, 422)),
    ],
)
def test_text_is_nfc_without_controls(
    service: Service, account: str, text: str, status: int
) -> None:
    """Controls, line ends and what reorders text are refused; every script is taken."""
    answer = charged(service, account, "0.01", description=text)
    assert answer.status == status
    if status == 201:
        assert answer.json["events"][0]["data"]["description"] == text
    else:
        assert ["/description"] == [error["pointer"] for error in answer.json["errors"]]


def test_text_is_composed(service: Service, account: str) -> None:
    """Two ways to type one letter are one text: what is kept is NFC."""
    answer = charged(service, account, "0.01", description="Zoe\u0308")
    assert answer.json["events"][0]["data"]["description"] == "Zo\u00eb"


def test_amounts_reach_64_bits_and_no_further(service: Service) -> None:
    """The largest sum is taken and read back; one cent more, tax or not, is amount_overflow."""
    account = f"LARGE-{uuid.uuid4().hex[:8]}"
    assert opened(service, account).status == 201
    for _ in range(9):
        assert charged(service, account, LARGEST).status == 201
    left = AMOUNT_MINOR_MAX - 9 * 999_999_999_999_999_999
    over = charged(service, account, decimal_text(left + 1, "USD"))
    assert (over.status, over.code) == (422, "amount_overflow")
    taxed = charged(
        service,
        account,
        decimal_text(left, "USD"),
        taxes=[{"name": "VAT", "rate": "0.01", "amount": "0.01"}],
    )
    assert (taxed.status, taxed.code) == (422, "amount_overflow")
    last = charged(service, account, decimal_text(left, "USD"))
    assert last.status == 201
    whole = decimal_text(AMOUNT_MINOR_MAX, "USD")
    assert last.json["figures"]["current_activity"]["amount"] == whole
    read = service.summary(account, US, Ledger_Position=last.headers["ledger-position"]).json
    assert read["current_activity"]["amount"] == whole
    assert charged(service, account, "0.01").code == "amount_overflow"


def test_the_largest_amount_is_billed_and_paid_and_returned(service: Service) -> None:
    """One life of it fits; its return is never refused, and what follows is: all reads answer."""
    account = f"LIFE-{uuid.uuid4().hex[:8]}"
    path = f"/v1/accounts/{account}"
    assert opened(service, account).status == 201
    assert charged(service, account, LARGEST).status == 201
    billed = sent(service, f"{path}/invoices", b"{}")
    assert (billed.status, billed.json["figures"]["balance"]["amount"]) == (201, LARGEST)
    read = service.summary(account, US, Ledger_Position=billed.headers["ledger-position"]).json
    assert (read["balance"]["amount"], read["aging"]["current"]["amount"]) == (LARGEST, LARGEST)
    paying = {"payment_id": "p", "pay": "total", "method": "card", "status": "processed"}
    paid = sent(service, f"{path}/payments", json.dumps(paying).encode())
    assert (paid.status, paid.json["figures"]["balance"]["amount"]) == (201, "0.00")
    back = sent(service, f"{path}/payments/p/returned", b'{"reason": "NSF"}')
    assert (back.status, back.json["figures"]["balance"]["amount"]) == (200, LARGEST)
    assert charged(service, account, "0.01").code == "amount_overflow"
    for moment in ("", "?at=" + back.headers["ledger-position"]):
        position = back.headers["ledger-position"]
        read = service.summary(account, US, moment, Ledger_Position=position).json
        assert (read["balance"]["amount"], read["last_payment"]) == (LARGEST, None)


def test_what_the_views_cannot_hold_is_refused(service: Service) -> None:
    """Largest amounts posted and reversed on one day, again and again: what is accepted is read."""
    account = f"OVER-{uuid.uuid4().hex[:8]}"
    assert opened(service, account).status == 201

    def charge(n: int) -> Answer:
        return charged(service, account, LARGEST, charge_id=f"c-{n}", effective_on="2020-01-05")

    answers = [charge(n) for n in range(9)]
    reversal = f"/v1/accounts/{account}/charges/c-{{}}/reversal"
    answers += [sent(service, reversal.format(n), b"{}") for n in range(9)]
    answers += [charge(n) for n in range(9, 18)]
    accepted = [answer for answer in answers if answer.status < 300]
    position = accepted[-1].headers["ledger-position"]
    assert 200 == service.summary(account, US, Ledger_Position=position).status
    assert 9 == len(accepted)
    assert {"amount_overflow"} == {answer.code for answer in answers[9:]}


def test_one_amount_has_64_bits_in_every_currency(service: Service) -> None:
    """With three decimals the longest decimal string is past 64 bits: refused, never wrapped."""
    account = f"DINAR-{uuid.uuid4().hex[:8]}"
    assert opened(service, account, currency="KWD").status == 201
    most = decimal_text(AMOUNT_MINOR_MAX, "KWD")
    assert charged(service, account, "9999999999999999.999").status == 422
    assert charged(service, account, decimal_text(AMOUNT_MINOR_MAX + 1, "KWD")).status == 422
    taken = charged(service, account, most)
    assert (taken.status, taken.json["figures"]["current_activity"]["amount"]) == (201, most)
    assert charged(service, account, "0.001").code == "amount_overflow"


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        *(
            ({"period": period}, "/period")
            for period in ("0001-01", "1899-12", "2200-01", "9999-12")
        ),
        *(({"period": period}, "/period") for period in ("2020-00", "2020-13", "2020-7")),
        ({"period": "2020-07", "issued_on": "0001-01-01"}, "/issued_on"),
        ({"period": "2020-07", "issued_on": "1899-12-31"}, "/issued_on"),
        ({"period": "2020-07", "issued_on": "2200-01-01"}, "/issued_on"),
        ({"period": "2020-07", "issued_on": "9999-12-31"}, "/issued_on"),
    ],
)
def test_a_month_end_is_within_the_years_of_everything(
    service: Service, given: dict[str, str], pointer: str
) -> None:
    """From 1900 to 2199, like every other day: what is asked for and when it is issued."""
    finance = service.token("finance", PASSWORD)
    answer = service.send("POST", "/v1/month-ends", finance, given)
    assert (422, "invalid_request") == (answer.status, answer.code)
    assert [pointer] == [error["pointer"] for error in answer.json["errors"]]


def test_a_month_end_far_off_has_no_status(service: Service) -> None:
    """Its address is no address of a month."""
    finance = service.token("finance", PASSWORD)
    for period in ("0001-01", "1899-12", "2200-01"):
        assert "invalid_period" == service.ask(f"/v1/month-ends/{period}", finance).code
