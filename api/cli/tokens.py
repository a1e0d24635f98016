"""`token create|revoke`: what other systems use the API with."""

import argparse

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import Screen
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.security.tokens import new_token
from api.settings import Settings


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "token", help="issue or revoke a service token", allow_abbrev=False
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="a new token, printed once", allow_abbrev=False)
    create.add_argument("name", help="of the system that uses it")
    create.add_argument(
        "--scope", action="append", choices=SCOPES, required=True, help="may be repeated"
    )
    revoke = actions.add_parser("revoke", help="all tokens of a name", allow_abbrev=False)
    revoke.add_argument("name")
    for action, run in ((create, _create), (revoke, _revoke)):
        add_region(action)
        add_json(action)
        action.set_defaults(run=run)


def _create(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    with (
        fit_database(settings, given.region) as database,
        Registrar(database.region.code, database.service_url) as registrar,
    ):
        token = new_token(database.region.code)
        registrar.issue_token(token, given.name, given.scope)
    screen.say(f"token of {given.name}: {token}")
    screen.result({"name": given.name, "scopes": given.scope, "token": token})
    return 0


def _revoke(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    with (
        fit_database(settings, given.region) as database,
        Registrar(database.region.code, database.service_url) as registrar,
    ):
        revoked = registrar.revoke_tokens(given.name)
    screen.say(f"{revoked} tokens of {given.name} revoked")
    screen.result({"name": given.name, "revoked": revoked})
    return 0
