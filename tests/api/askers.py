"""Everybody who may come to the API: by role, by how little they may, and by what became of them."""

from contextlib import closing

import psycopg

from api.security.logins import NewLogin, Registrar
from api.security.tokens import digest
from api.wiring import Database
from tests.api.books import PASSWORD, STAFF, TOKENS, WITHOUT_SCOPES
from tests.api.serving import Service

READS_ONLY = "us." + "r" * 43
REVOKED = "us." + "v" * 43
ROLES = ("customer", *STAFF, "service")
NOBODY = ("anonymous", "expired", "revoked session", "disabled", "revoked token", "not a token")


def askers(service: Service, us: Database) -> dict[str, str | None]:
    """A token for each kind of asker, all of region us but `elsewhere`, whose account is A-1 too."""
    region, url = us.region.code, us.service_url
    with Registrar(region, url) as registrar:
        for name in ("disabled", "expired"):
            registrar.create(
                NewLogin(
                    role="finance", password=PASSWORD, client_id=name, must_change_password=False
                )
            )
        registrar.issue_token(READS_ONLY, "reads", ["accounts:read"])
        registrar.issue_token(REVOKED, "revoked", ["accounts:read", "commands"])
        registrar.revoke_tokens("revoked")
    found: dict[str, str | None] = {role: service.token(role, PASSWORD) for role in STAFF}
    found |= {
        "customer": service.token("A-1", PASSWORD),
        "other customer": service.token("B-1", PASSWORD),
        "elsewhere": service.token("A-1", PASSWORD, region="emea"),
        "service": TOKENS["us"],
        "service that reads": READS_ONLY,
        "service without scopes": WITHOUT_SCOPES,
        "anonymous": None,
        "expired": service.token("expired", PASSWORD),
        "revoked session": service.token("finance", PASSWORD),
        "disabled": service.token("disabled", PASSWORD),
        "revoked token": REVOKED,
        "not a token": "us.short",
    }
    with Registrar(region, url) as registrar:
        registrar.lock("disabled")
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url, autocommit=True)) as owner:
        for name, column in (("expired", "expires_at"), ("revoked session", "revoked_at")):
            token = found[name]
            assert token is not None
            changed = owner.execute(
                f"UPDATE access.session SET {column} = clock_timestamp() - interval '1 s'"
                " WHERE token_sha256 = %s".encode(),
                (digest(token),),
            )
            assert changed.rowcount == 1
    return found
