"""Loading the sample book and its logins into the regions; a second loading adds nothing."""

import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice

import msgspec

from api.sample_book import DEFAULT_SEED, DemoLogin, demo_logins, sample_requests
from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from ledger.store.outcomes import Refused

BATCH_MAX = 500
CATCH_UP_S_MAX = 120.0
TOKEN_NAME = "demo"


class SampleRefused(Exception):
    """The ledger refused a part of the sample book: these regions hold something else."""


class LoginShown(msgspec.Struct, frozen=True):
    """A login of the demo, as its last line tells it."""

    role: str
    region: str
    identifier: str
    password: str


class Loaded(msgspec.Struct, frozen=True):
    """Who can sign in, and the tokens that other systems would use, by region."""

    logins: list[LoginShown]
    service_tokens: dict[str, str]


def load_sample(databases: Sequence[Database], progress: Callable[[str, int, int], None]) -> Loaded:
    """The sample book is in the regions and in their views; raises SampleRefused."""
    counted = _Counted(progress)
    with ThreadPoolExecutor(len(databases), thread_name_prefix="sample") as threads:
        tokens = dict(threads.map(lambda database: _load(database, counted), databases))
    codes = {database.region.code for database in databases}
    logins = [
        LoginShown(login.role, login.region, login.identifier, login.password)
        for login in demo_logins()
        if login.region in codes
    ]
    return Loaded(logins, tokens)


class _Counted:
    """Counts what several threads have done."""

    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self._progress = progress
        self._guard = threading.Lock()
        self._done = 0

    def add(self, done: int) -> None:
        with self._guard:
            self._done += done
            self._progress("sample book", self._done, 0)


def _load(database: Database, counted: _Counted) -> tuple[str, str]:
    """Region and service token, once everything is there."""
    region = database.region
    ledger = database.ledger()
    try:
        requests = sample_requests(region.code, DEFAULT_SEED, database.today())
        while batch := list(islice(requests, BATCH_MAX)):
            for request, outcome in zip(batch, ledger.handle_now(batch), strict=True):
                if isinstance(outcome, Refused):
                    raise SampleRefused(
                        f"region {region.code}, account {request.account_number}, key "
                        f"{request.key}: {outcome.refusal}: the region holds another book"
                    )
            counted.add(len(batch))
    finally:
        ledger.close()
    database.catch_up(CATCH_UP_S_MAX)
    token = _token(region.code)
    with Registrar(region.code, database.service_url) as registrar:
        for login in _logins_of(region.code):
            _ensure(registrar, login)
        registrar.issue_token(token, TOKEN_NAME, SCOPES)
    return region.code, token


def _logins_of(region: str) -> Iterator[DemoLogin]:
    return (login for login in demo_logins() if login.region == region)


def _ensure(registrar: Registrar, login: DemoLogin) -> None:
    """The login can be signed in with, by the password that the demo tells."""
    if registrar.has_password(login.identifier, login.password):
        return
    made = registrar.create(
        NewLogin(
            role=login.role,
            password=login.password,
            client_id=login.identifier,
            account_numbers=login.account_numbers,
            must_change_password=False,
        )
    )
    if not made:
        registrar.reset(login.identifier, login.password, must_change=False)


def _token(region: str) -> str:
    """A token in the form of any other, the same at every start; no more secret than the demo."""
    bits = sha256(f"billing-ledger demo token {region}".encode()).digest()
    return f"{region}.{urlsafe_b64encode(bits).decode().rstrip('=')}"
