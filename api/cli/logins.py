"""`login create|reset|lock`: who may sign in."""

import argparse
import sys
from collections.abc import Callable

from api.cli.regional import add_json, add_region, fit_database
from api.cli.screen import REFUSED, Misuse, Screen
from api.security.logins import CannotMakeLogin, NewLogin, Registrar
from api.security.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, generate_password
from api.security.scope import ROLES
from api.settings import Settings


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser("login", help="make, reset or lock a login", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = _action(actions, "create", _create, "a new login; its password is printed once")
    create.add_argument("--role", choices=ROLES, required=True)
    create.add_argument("--client-id", help="what it signs in with")
    create.add_argument(
        "--account", action="append", default=[], help="a customer's account; may be repeated"
    )
    create.add_argument("--email", help="where a link for a new password is mailed to")
    _add_password(create)
    reset = _action(actions, "reset", _reset, "a new password; unlocks, and signs out everywhere")
    reset.add_argument("identifier", help="client ID or account number")
    reset.add_argument(
        "--remove-second-factor",
        action="store_true",
        help="ask for no code any more: for who lost the device and the recovery codes",
    )
    _add_password(reset)
    lock = _action(actions, "lock", _lock, "nobody signs in with it; its sessions are over")
    lock.add_argument("identifier", help="client ID or account number")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    do: Callable[[argparse.Namespace, Registrar, Screen], int],
    help: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=help, allow_abbrev=False)
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=_run, do=do)
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of making one up",
    )


def _run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    with (
        fit_database(settings, given.region) as database,
        Registrar(database.region.code, database.service_url) as registrar,
    ):
        outcome: int = given.do(given, registrar, screen)
        return outcome


def _create(given: argparse.Namespace, registrar: Registrar, screen: Screen) -> int:
    password = _password(given)
    login = NewLogin(
        role=given.role,
        password=password,
        client_id=given.client_id,
        account_numbers=tuple(given.account),
        email=given.email,
    )
    try:
        created = registrar.create(login)
    except CannotMakeLogin as refusal:
        screen.complain(str(refusal))
        return REFUSED
    name = given.client_id or given.account[0]
    if not created:
        screen.say(f"login {name} exists already; its password stays as it is")
        screen.result({"identifier": name, "created": False})
        return 0
    _show_password(given, screen, name, password, {"created": True})
    return 0


def _reset(given: argparse.Namespace, registrar: Registrar, screen: Screen) -> int:
    password = _password(given)
    if not registrar.reset(given.identifier, password):
        return _unknown(given, screen)
    if given.remove_second_factor:
        registrar.drop_second_factor(given.identifier)
    _show_password(given, screen, given.identifier, password, {"reset": True})
    return 0


def _lock(given: argparse.Namespace, registrar: Registrar, screen: Screen) -> int:
    if not registrar.lock(given.identifier):
        return _unknown(given, screen)
    screen.say(f"login {given.identifier} is locked")
    screen.result({"identifier": given.identifier, "locked": True})
    return 0


def _unknown(given: argparse.Namespace, screen: Screen) -> int:
    screen.complain(f"there is no login {given.identifier}")
    return REFUSED


def _password(given: argparse.Namespace) -> str:
    if not given.password_stdin:
        return generate_password()
    password = sys.stdin.readline().rstrip("\r\n")
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Misuse(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    return password


def _show_password(
    given: argparse.Namespace, screen: Screen, name: str, password: str, done: dict[str, bool]
) -> None:
    """A password that was made up is shown once; one that was given is not repeated."""
    shown = {} if given.password_stdin else {"password": password}
    told = f", password {password}, to be changed at the first sign-in" if shown else ""
    screen.say(f"login {name} is ready{told}")
    screen.result({"identifier": name, **done, **shown})
