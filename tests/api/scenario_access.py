"""A login's story, in which every operation about who may come in is asked once for the examples."""

import time
from typing import Any

from api.security.second_factor import STEP_S, code_at
from tests.api.asking import Ask, Later, Told
from tests.api.books import PASSWORD

ADMIN = "admin"
NAME = "alex"


def _found(operation: str, field: str) -> Later:
    """A field of what an operation answered."""
    return lambda told: str(told.answers[operation][field])


def _code(steps_on: int) -> Later:
    """The code of the second factor that was started, now or some steps on: each works once."""

    def code(told: Told) -> str:
        step = int(time.time()) // STEP_S + steps_on
        return code_at(told.answers["start_second_factor"]["secret"], step)

    return code


def _own(operation: str, **body: Any) -> Ask:
    return Ask(operation, NAME, body=body or None)


KEEPING = (
    Ask(
        "make_login",
        ADMIN,
        headers={"Idempotency-Key": "login-alex"},
        body={
            "role": "support",
            "client_id": NAME,
            "email": f"{NAME}@mail.example",
            "password": PASSWORD,
        },
    ),
    Ask("list_logins", ADMIN, query={"role": "support", "limit": "1"}),
    Ask("get_login", ADMIN, places={"id": _found("make_login", "id")}),
    Ask(
        "change_login",
        ADMIN,
        places={"id": _found("make_login", "id")},
        body={"role": "finance"},
    ),
    Ask(
        "issue_token",
        ADMIN,
        headers={"Idempotency-Key": "token-rating"},
        body={"name": "rating", "scopes": ["accounts:read", "commands"]},
    ),
    Ask("list_tokens", ADMIN, query={"status": "active", "limit": "10"}),
    Ask("get_token", ADMIN, places={"id": _found("issue_token", "id")}),
    Ask("revoke_token", ADMIN, places={"id": _found("issue_token", "id")}),
)
OWN = (
    _own("get_me"),
    _own("list_sessions"),
    _own("start_second_factor", password=PASSWORD),
    _own("confirm_second_factor", code=_code(0)),
    _own("get_second_factor"),
    _own("remove_second_factor", password=PASSWORD, code=_code(1)),
    _own("change_password", current_password=PASSWORD, new_password="a longer one than before"),
    Ask("sign_out", ADMIN),
)
# Before OWN: somebody else has chosen the password of a new login, which must change it first.
FORGETTING = (
    Ask("ask_password_reset", None, body={"region": "us", "identifier": NAME}),
    Ask(
        "use_password_reset",
        None,
        places={"token": lambda told: told.mailed(NAME)},
        body={"new_password": PASSWORD},
    ),
)
ASKS = (*KEEPING, *FORGETTING, *OWN)
