"""The table of what commands may be refused with, against what happens to made-up accounts."""

from api import refusals
from api.problems import REFUSALS
from api.wire import TYPES
from tests.projections.books import books

SEED, ACCOUNTS, STEPS = 11, 80, 160


def test_every_command_is_in_the_table() -> None:
    """Each command has its codes, all of them refusals, none of them twice or said for all."""
    assert set(TYPES) == refusals.OF.keys()
    for codes in refusals.OF.values():
        assert len(set(codes)) == len(codes)
        assert set(codes) <= REFUSALS.keys() - set(refusals.OF_ANY)


def test_nothing_else_is_refused() -> None:
    """Whatever made-up accounts are refused is in the table of the command, and most of it happens."""
    happened = {one for made in books(SEED, ACCOUNTS, STEPS) for one in made.refused}
    listed = {(command, code) for command, codes in refusals.OF.items() for code in codes}
    assert (
        set() == {(name, code) for name, code in happened if code not in refusals.OF_ANY} - listed
    )
    assert len(happened & listed) > 0.7 * len(listed)
