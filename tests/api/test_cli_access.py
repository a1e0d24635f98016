"""The command line: who can sign in, and what services call with."""

from tests.api.books import PASSWORD
from tests.api.conftest import Deployment
from tests.api.serving import Ran, Service, run


def test_logins_are_made_reset_and_locked(service: Service, deployment: Deployment) -> None:
    """Each works on the very next sign-in, and may be done twice."""
    environment = deployment.environment

    def do(*arguments: str, given: str = "") -> Ran:
        return run(environment, "login", *arguments, "--region", "us", "--json", given=given)

    create = ("create", "--role", "support", "--client-id", "Desk-7")
    first = do(*create)
    assert (0, True) == (first.code, first.lines[0]["created"])
    password = first.lines[0]["password"]
    assert service.sign_in("desk-7", password).status == 200
    assert (0, [{"identifier": "Desk-7", "created": False}]) == (
        (again := do(*create)).code,
        again.lines,
    )
    assert do("create", "--role", "finance", "--client-id", "desk-7").code == 1
    reset = do("reset", "DESK-7", "--password-stdin", given=f"{PASSWORD}\n")
    assert (0, {"identifier": "DESK-7", "reset": True}) == (reset.code, reset.lines[0])
    assert service.sign_in("desk-7", PASSWORD).status == 200
    for _ in range(2):
        assert do("lock", "desk-7").code == 0
    assert service.sign_in("desk-7", PASSWORD).status == 401
    assert do("lock", "nobody").code == 1
    assert do("create", "--role", "customer", "--account", "none-such").code == 1
    assert do("create", "--role", "support", "--account", "A-1").code == 1
    assert do("reset", "desk-7", "--password-stdin", given="short\n").code == 2
    assert do("reset", "desk-7", "--remove-second-factor").lines[0]["reset"] is True
    mailed = ("create", "--role", "support", "--client-id", "desk-8", "--email")
    assert do(*mailed, "not an address").code == 1
    assert do(*mailed, "desk@mail.example").lines[0]["created"] is True


def test_tokens_are_issued_and_revoked(service: Service, deployment: Deployment) -> None:
    """A token reads at once, and not any more once its name is revoked."""
    environment = deployment.environment
    created = run(
        environment,
        *("token", "create", "rating", "--scope", "accounts:read", "--region", "us", "--json"),
    )
    token = created.lines[0]["token"]
    assert service.summary("A-1", token).status == 200
    for count in (1, 0):
        revoked = run(environment, "token", "revoke", "rating", "--region", "us", "--json")
        assert (0, count) == (revoked.code, revoked.lines[0]["revoked"])
    assert service.summary("A-1", token).status == 401
