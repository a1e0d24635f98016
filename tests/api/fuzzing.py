"""Schemathesis over a running service: what it is told of the place, and what it did there."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from api.problems import CODES, MEDIA_TYPE
from api.security.logins import NewLogin, Registrar
from api.security.scope import SCOPES
from api.wiring import Database
from ledger import commands as c
from ledger.store.outcomes import Accepted
from tests.api.books import COMMANDS, STAFF, payment, requests
from tests.api.serving import Service

LIMIT_S = 1_800
ACCOUNTS = tuple(f"F-{n}" for n in range(8))
PASSWORD = "none of the examples"
"""Not the one that the examples change."""
SERVICE_TOKEN = "us." + "f" * 43
_ON = date(2020, 3, 10)
MORE: tuple[c.AnyCommand, ...] = (
    payment("p-3", _ON, 3_00, "i-2"),
    payment("p-4", _ON, 4_00, "i-2"),
    c.ReturnPayment(payment_id="p-4", reason="no funds", effective_on=_ON),
    c.IssueRefund(
        refund_id="r-1",
        amount_minor=1_00,
        payment_id="p-3",
        method="card",
        reason="asked",
        effective_on=_ON,
    ),
    c.IssueCredit(
        credit_id="k-1",
        amount_minor=2_00,
        applies_to="account",
        reason="goodwill",
        effective_on=_ON,
    ),
    c.WriteOffInvoice(
        write_off_id="w-1", invoice="i-2", amount_minor=1_00, reason="gone", effective_on=_ON
    ),
)
IDS = {
    "number": ["i-1", "i-2"],
    "charge_id": ["c-1", "c-2", "c-3"],
    "payment_id": ["p-1", "p-2", "p-3", "p-4"],
    "refund_id": ["r-1"],
    "credit_id": ["k-1"],
    "write_off_id": ["w-1"],
    "dispute_id": ["d-1"],
    "message_id": ["m-1"],
}
"""What each account has."""
SETTINGS = """
hooks = {hooks}
continue-on-failure = true
request-timeout = 60

[cache]
enabled = false

[generation]
database = "none"
no-shrink = true
with-security-parameters = false

# Values out of earlier answers would lock the very logins that ask.
[phases.examples]
extra-data-sources.responses = false

[phases.coverage]
extra-data-sources.responses = false

[phases.fuzzing]
extra-data-sources.responses = false

[checks]  # all of them; these statuses too are an answer to what the document allows
positive_data_acceptance.expected-statuses = [
    "2xx", "304", "401", "403", "404", "409", "412", "422", "429"
]
negative_data_rejection.expected-statuses = [
    "400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428", "429"
]
missing_required_header.expected-statuses = ["400", "401", "403", "404", "422", "428"]

[[operations]]
include-operation-id = "bulk_commands"
checks.negative_data_rejection.enabled = false  # a bad line refuses only itself
"""


@dataclass(frozen=True)
class Call:
    """One request of schemathesis and its answer."""

    asker: str
    operation: str
    path: str
    status: int
    media_type: str
    body: str

    @property
    def fault(self) -> str | None:
        """What is wrong with an answer, whatever was asked."""
        if self.status >= 500:
            return f"{self.status}"
        if self.status < 400:
            return None
        if self.media_type != MEDIA_TYPE:
            return f"{self.status} as {self.media_type!r}"
        code = json.loads(self.body)["code"]
        return None if CODES[code][0] == self.status else f"{code} as {self.status}"


@dataclass(frozen=True)
class Fuzzed:
    """What schemathesis did, and whether all its checks held."""

    has_passed: bool
    output: str
    calls: Sequence[Call]


def fill(database: Database) -> None:
    """Accounts with a bit of everything; a customer who has them all, staff, and a service."""
    asked = (*COMMANDS, *MORE)
    with closing(database.ledger()) as ledger:
        for number in ACCOUNTS:
            for outcome in ledger.handle_now(requests(number, database.today(), asked)):
                assert isinstance(outcome, Accepted), outcome
    database.catch_up(30)
    with Registrar(database.region.code, database.service_url) as registrar:
        for role in STAFF:
            registrar.create(
                NewLogin(role=role, password=PASSWORD, client_id=role, must_change_password=False)
            )
        registrar.create(
            NewLogin(
                role="customer",
                password=PASSWORD,
                client_id="customer",
                account_numbers=ACCOUNTS,
                must_change_password=False,
            )
        )
        registrar.issue_token(SERVICE_TOKEN, "all", SCOPES)


def signed_in(service: Service) -> dict[str, str]:
    """Tokens of fresh sessions, by role."""
    return {role: service.token(role, PASSWORD) for role in ("customer", *STAFF)}


def fuzz(
    service: Service,
    directory: Path,
    *,
    phases: str,
    examples: int,
    seed: int,
    without: Sequence[str] = (),
) -> Fuzzed:
    """Schemathesis runs once over every operation, `examples` cases of each in its fuzzing phase."""
    askers = {"anonymous": None, **signed_in(service), "service": SERVICE_TOKEN}
    settings, calls = directory / "schemathesis.toml", directory / "calls.ndjson"
    settings.write_text(_settings())
    left_out = [part for name in without for part in ("--exclude-operation-id", name)]
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--no-color"),
            *("--config-file", settings, "run", f"http://127.0.0.1:{service.port}/openapi.json"),
            *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed)),
            *("--warnings", "off", "--output-sanitize", "false", *left_out),
        ],
        cwd=directory,
        env={
            **os.environ,
            "FUZZ_TOKENS": json.dumps(askers),
            "FUZZ_LAST_TOKENS": json.dumps(signed_in(service)),
            "FUZZ_ACCOUNTS": json.dumps(ACCOUNTS),
            "FUZZ_CALLS": str(calls),
            "PYTHONWARNINGS": "default",
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Fuzzed(
        has_passed=done.returncode == 0,
        output=done.stdout + done.stderr,
        calls=[Call(**json.loads(line)) for line in calls.read_text().splitlines()],
    )


def _settings() -> str:
    words: list[tuple[str, Sequence[str], float]] = [
        ("path.account_number", ACCOUNTS, 0.85),
        *((f"path.{name}", ids, 0.7) for name, ids in IDS.items()),
        ("body.invoice", IDS["number"], 0.7),
        ("body.payment_id", ["p-1", "n-1", "n-2"], 0.3),
        ("body.amount", ["1.00", "0.01", "7.77"], 0.6),
        ("body.effective_on", ["2020-03-10", "2020-04-01"], 0.7),
        ("query.effective_on", ["2020-02-10", "2020-04-01"], 0.7),
        ("header.If-Match", ["*"], 0.7),
    ]
    dictionaries, bound = [], []
    for name, values, probability in words:
        word = name.replace(".", "_")
        dictionaries.append(f"[dictionaries.{word}]\nvalues = {json.dumps(list(values))}\n")
        use = f'{{ dictionary = "{word}", probability = {probability} }}'
        bound.append(f"{json.dumps(name)} = {use}")
    hooks = json.dumps(str(Path(__file__).with_name("fuzz_hooks.py")))
    head, _, tail = SETTINGS.partition("\n[cache]")
    return "\n".join(
        [head.format(hooks=hooks), *dictionaries, "[parameters]", *bound, f"\n[cache]{tail}"]
    )
