"""Commands that come while too many are under way: turned away before anything is done for them.

What turning one away costs is lacking for those that were taken: of twice what a service can do,
half is turned away.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlette.routing import Route
from starlette.types import Scope

from api.doors import RegionDoor
from api.entering import bearer
from api.problems import Problem


class Away(NamedTuple):
    """Why a command is turned away, and the template of its path."""

    template: str
    problem: Problem


class TurningAway:
    """Knows the commands by their routes, and which regions have too many of them under way."""

    def __init__(
        self, command_of: Callable[[Scope], Route | None], doors: Mapping[str, RegionDoor]
    ) -> None:
        self._command_of = command_of
        self._doors = doors

    def away(self, scope: Scope) -> Away | None:
        """Why a request is turned away; None when it is no command, or may go on."""
        if not any(door.is_busy for door in self._doors.values()):
            return None
        route = self._command_of(scope)
        if route is None:
            return None
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        try:
            region, _ = bearer(authorization, self._doors.__contains__)
        except Problem:
            return None  # which is told on the way of every other
        try:
            self._doors[region].refuse_if_busy()
        except Problem as problem:
            return Away(route.path, problem.with_traceback(None))
        return None
