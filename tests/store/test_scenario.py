"""The scenario that other tests of the store run on."""

from ledger.commands import AnyCommand
from tests.store.scenario import every_command


def test_every_kind_of_command_is_in_it() -> None:
    """The scenario uses every command there is."""
    kinds = {type(command) for command in every_command()}
    assert kinds == set(AnyCommand.__args__)
