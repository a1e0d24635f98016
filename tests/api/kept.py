"""Logins as an admin keeps them over HTTP."""

import itertools
import uuid
from dataclasses import dataclass

from tests.api.books import PASSWORD
from tests.api.serving import Answer, Service

PATH = "/v1/logins"
FIRST = "chosen by an admin"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Admin:
    """An admin who is signed in."""

    service: Service
    token: str

    def make(self, key: str | None = None, **fields: object) -> Answer:
        """Asks for a login of these fields, under a fresh key unless one is given."""
        return self.service.send("POST", PATH, self.token, fields, key=key or uuid.uuid4().hex)

    def settle(self, identifier: str, **fields: object) -> str:
        """Makes a login that has changed its password, to PASSWORD, and gives its id."""
        made = self.make(password=FIRST, **fields)
        assert 201 == made.status, made
        changed = self.service.send(
            "POST",
            "/v1/me/password",
            self.service.token(identifier, FIRST),
            {"current_password": FIRST, "new_password": PASSWORD},
        )
        assert 200 == changed.status, changed
        id: str = made.json["id"]
        return id

    def change(self, id: str, **fields: object) -> Answer:
        return self.service.send("PATCH", f"{PATH}/{id}", self.token, fields)

    def get(self, path: str) -> Answer:
        return self.service.send("GET", path, self.token)


def signed_in(service: Service, client_id: str = "admin", region: str = "us") -> Admin:
    return Admin(service, service.token(client_id, PASSWORD, region=region))


def name() -> str:
    """A client ID that nobody has."""
    return f"Kept-{next(_numbers)}"


def faults(answer: Answer) -> list[tuple[str, str]]:
    """Status 422, and each pointer with its code."""
    assert (422, "invalid_request") == (answer.status, answer.code), answer
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]
