"""Which day a request takes effect on, and why it may not."""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from tests.model.applying import Applying, Refused

T = TypeVar("T")


class Days(Applying):
    """Records that know their opening day."""

    def day(
        self, command: Any, today: date, *causes: date, ahead: bool = False
    ) -> tuple[date, set[str]]:
        """The effective day, and the codes against it."""
        on = command.effective_on or today
        return on, self.against(on, today, *causes, ahead=ahead)

    def against(self, on: date, today: date, *causes: date, ahead: bool = False) -> set[str]:
        """Why a day will not do: before its causes, or after today."""
        assert self.opened is not None
        why = set()
        if on > today and not ahead:
            why.add("effective_in_future")
        if any(on < cause for cause in (self.opened.on, *causes)):
            why.add("effective_before_cause")
        return why

    def known(
        self, things: dict[str, T], id: str, command: Any, today: date, taken: bool = False
    ) -> T:
        """The thing of that id; refuses one that there is not."""
        if id not in things:
            why = self.day(command, today)[1] | ({"id_taken"} if taken else set())
            raise Refused({"item_unknown"} | why)
        return things[id]


def refuse(why: set[str]) -> None:
    """Refuses when anything speaks against the request."""
    if why:
        raise Refused(why)
