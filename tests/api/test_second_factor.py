"""The second factor: a code beside the password, each good once, and codes for who lost the device."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from api.security.logins import NewLogin, Registrar
from api.security.second_factor import (
    RECOVERY_CODES,
    STEP_S,
    Proof,
    SecondFactor,
    code_at,
    new_recovery_codes,
    new_secret,
    proof_of,
)
from api.security.throttle import TRIES_OF_LOGIN
from api.wiring import Database
from tests.api.books import PASSWORD
from tests.api.serving import Service

PATH = "/v1/me/second-factor"
_numbers = itertools.count(1)


@pytest.fixture
def somebody(us: Database) -> str:
    name = f"careful-{next(_numbers)}"
    with Registrar("us", us.service_url) as registrar:
        registrar.create(
            NewLogin(role="finance", password=PASSWORD, client_id=name, must_change_password=False)
        )
    return name


class Phone:
    """What makes the codes of one secret; a code is made a step later each time it is asked for."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._step = int(time.time()) // STEP_S - 1

    @property
    def code(self) -> str:
        """A code that was not shown before, up to one step ahead; waits for none."""
        self._step += 1
        assert self._step <= int(time.time()) // STEP_S + 1, "no more than two codes at once"
        return code_at(self._secret, self._step)


def started(service: Service, token: str) -> Phone:
    answer = service.send("POST", PATH, token, {"password": PASSWORD})
    assert 200 == answer.status, answer
    return Phone(answer.json["secret"])


def confirmed(service: Service, somebody: str) -> tuple[str, Phone, list[str]]:
    """Token, phone and recovery codes of a login whose second factor is confirmed."""
    token = service.token(somebody, PASSWORD)
    phone = started(service, token)
    answer = service.send("PUT", PATH, token, {"code": phone.code})
    assert 200 == answer.status, answer
    return token, phone, answer.json["recovery_codes"]


def test_codes_are_those_of_rfc_6238() -> None:
    """The RFC's own secret and times (appendix B), to six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for second, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert code == code_at(secret, second // STEP_S)
        proof = proof_of(SecondFactor(secret, 0), code, second)
        assert Proof(step=second // STEP_S) == proof


@pytest.mark.parametrize(("off", "is_taken"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_one_step(off: int, is_taken: bool) -> None:
    """A phone half a minute early or late is let in, one further off is not."""
    secret, now = new_secret(), 1_700_000_000.0
    code = code_at(secret, int(now) // STEP_S + off)
    assert is_taken == (proof_of(SecondFactor(secret, 0), code, now) is not None)


def test_a_step_is_taken_once() -> None:
    """A code of the last step used, or of one before, is refused though its time has not passed."""
    secret, now = new_secret(), 1_700_000_000.0
    step = int(now) // STEP_S
    for last, is_taken in ((step - 1, True), (step, False), (step + 1, False)):
        proof = proof_of(SecondFactor(secret, last), code_at(secret, step), now)
        assert is_taken == (proof is not None)


def test_what_is_no_code_is_refused() -> None:
    """Digits of other scripts, too few and too many are wrong, and nothing breaks on them."""
    factor = SecondFactor(new_secret(), 0)
    for odd in ("", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "\x00" * 6, "a" * 15, "a" * 17):
        assert proof_of(factor, odd, 1_700_000_000.0) is None
    [first, *_] = new_recovery_codes()
    assert proof_of(factor, first.upper().replace("-", " "), 0) == proof_of(factor, first, 0)


def test_it_counts_from_when_it_is_confirmed(service: Service, somebody: str) -> None:
    """Started alone it asks for nothing; confirmed, the password is not enough any more."""
    token = service.token(somebody, PASSWORD)
    assert {
        "enabled": False,
        "confirmed_at": None,
        "started": False,
        "recovery_codes_left": 0,
    } == service.send("GET", PATH, token).json
    begun = service.send("POST", PATH, token, {"password": PASSWORD})
    assert {"secret", "otpauth_uri"} == begun.json.keys()
    uri = urlsplit(begun.json["otpauth_uri"])
    assert ("otpauth", "totp") == (uri.scheme, uri.netloc)
    assert [begun.json["secret"]] == parse_qs(uri.query)["secret"]
    assert uri.path.endswith(f":{somebody}")
    assert service.send("GET", PATH, token).json["started"] is True
    assert 200 == service.sign_in(somebody, PASSWORD).status

    phone = Phone(begun.json["secret"])
    wrong = service.send("PUT", PATH, token, {"code": "000000"})
    assert (403, "wrong_code") == (wrong.status, wrong.code)
    done = service.send("PUT", PATH, token, {"code": phone.code})
    assert RECOVERY_CODES == len(set(done.json["recovery_codes"]))
    state = service.send("GET", PATH, token).json
    assert (True, False, RECOVERY_CODES) == (
        state["enabled"],
        state["started"],
        state["recovery_codes_left"],
    )
    needed = service.sign_in(somebody, PASSWORD)
    assert (401, "second_factor_required") == (needed.status, needed.code)
    assert 200 == service.sign_in(somebody, PASSWORD, code=phone.code).status


def test_only_a_right_password_is_asked_for_a_code(service: Service, somebody: str) -> None:
    """With a wrong password nothing is said about a code, given or not."""
    _, phone, _ = confirmed(service, somebody)
    for code in (None, "000000", phone.code):
        assert "sign_in_failed" == service.sign_in(somebody, "wrong", code=code).code


def test_a_code_works_once(service: Service, somebody: str) -> None:
    """The code that confirmed, and the one that signed in, sign nobody in again."""
    token = service.token(somebody, PASSWORD)
    phone = started(service, token)
    first = phone.code
    assert 200 == service.send("PUT", PATH, token, {"code": first}).status
    assert "second_factor_failed" == service.sign_in(somebody, PASSWORD, code=first).code
    second = phone.code
    assert 200 == service.sign_in(somebody, PASSWORD, code=second).status
    assert "second_factor_failed" == service.sign_in(somebody, PASSWORD, code=second).code


def test_a_code_sent_twice_at_once_works_once(service: Service, somebody: str) -> None:
    """Whoever watched it being typed and sends it at the same time is let in instead, or not."""
    _, phone, codes = confirmed(service, somebody)
    for code in (phone.code, codes[0]):
        with ThreadPoolExecutor(4) as threads:
            answers = list(
                threads.map(lambda _, c=code: service.sign_in(somebody, PASSWORD, code=c), range(4))
            )
        assert [200, 401, 401, 401] == sorted(answer.status for answer in answers)


def test_a_recovery_code_works_once(service: Service, somebody: str) -> None:
    """In the place of a code, typed as it comes; the others stay."""
    token, _, codes = confirmed(service, somebody)
    assert 200 == service.sign_in(somebody, PASSWORD, code=codes[0].upper()).status
    assert "second_factor_failed" == service.sign_in(somebody, PASSWORD, code=codes[0]).code
    assert 200 == service.sign_in(somebody, PASSWORD, code=codes[1].replace("-", "")).status
    left = service.send("GET", PATH, token).json["recovery_codes_left"]
    assert RECOVERY_CODES - 2 == left


def test_codes_cannot_be_guessed_from_many_sources(service: Service, somebody: str) -> None:
    """Wrong codes are counted for the login wherever they come from; then a right one must wait."""
    _, phone, codes = confirmed(service, somebody)
    for n in range(TRIES_OF_LOGIN):
        answer = service.sign_in(somebody, PASSWORD, code="000000", source=f"203.0.113.{n}")
        assert (401, "second_factor_failed") == (answer.status, answer.code)
    for code in (phone.code, codes[0]):
        answer = service.sign_in(somebody, PASSWORD, code=code, source="203.0.113.99")
        assert (429, "too_many_requests") == (answer.status, answer.code)


def test_a_wrong_code_is_a_try_of_its_source(service: Service, somebody: str) -> None:
    """The count of sign-ins goes on when only the code is wrong or missing."""
    _, phone, _ = confirmed(service, somebody)
    for _ in range(10):
        assert 401 == service.sign_in(somebody, PASSWORD, source="203.0.113.200").status
    assert (
        429 == service.sign_in(somebody, PASSWORD, code=phone.code, source="203.0.113.200").status
    )


def test_confirming_ends_the_sessions_opened_without_it(service: Service, somebody: str) -> None:
    """Who signed in elsewhere with the password alone is out; this session stays."""
    elsewhere = service.token(somebody, PASSWORD)
    token, _, _ = confirmed(service, somebody)
    assert 401 == service.send("GET", "/v1/me", elsewhere).status
    assert 200 == service.send("GET", "/v1/me", token).status


def test_it_is_removed_with_password_and_code(service: Service, somebody: str) -> None:
    """Neither alone is enough; removed, the password is, and another can be started."""
    token, phone, codes = confirmed(service, somebody)
    again = service.send("POST", PATH, token, {"password": PASSWORD})
    assert (409, "second_factor_exists") == (again.status, again.code)
    code = phone.code
    for password, given, refused in (
        ("wrong password", code, "wrong_password"),
        (PASSWORD, "000000", "wrong_code"),
        (PASSWORD, "-".join(["aaaa"] * 4), "wrong_code"),
    ):
        body = {"password": password, "code": given}
        assert refused == service.send("DELETE", PATH, token, body).code
    assert 204 == service.send("DELETE", PATH, token, {"password": PASSWORD, "code": code}).status
    assert 200 == service.sign_in(somebody, PASSWORD).status
    none = service.send("DELETE", PATH, token, {"password": PASSWORD, "code": codes[0]})
    assert (409, "second_factor_missing") == (none.status, none.code)
    assert "second_factor_missing" == service.send("PUT", PATH, token, {"code": code}).code
    started(service, token)


def test_starting_needs_the_password(service: Service, somebody: str) -> None:
    """Who finds a session open cannot lock its owner out."""
    token = service.token(somebody, PASSWORD)
    answer = service.send("POST", PATH, token, {"password": "not the password"})
    assert (403, "wrong_password") == (answer.status, answer.code)
    assert service.send("GET", PATH, token).json["started"] is False


def test_starting_anew_makes_the_secret_before_worthless(service: Service, somebody: str) -> None:
    """Only the secret shown last can be confirmed."""
    token = service.token(somebody, PASSWORD)
    before, now = started(service, token), started(service, token)
    assert "wrong_code" == service.send("PUT", PATH, token, {"code": before.code}).code
    assert 200 == service.send("PUT", PATH, token, {"code": now.code}).status


def test_any_authenticator_makes_the_codes(service: Service, somebody: str) -> None:
    """What the URI says is enough for another program, with its own defaults."""
    token = service.token(somebody, PASSWORD)
    uri = service.send("POST", PATH, token, {"password": PASSWORD}).json["otpauth_uri"]
    totp = pyotp.parse_uri(uri)
    assert isinstance(totp, pyotp.TOTP)
    assert 200 == service.send("PUT", PATH, token, {"code": totp.now()}).status
