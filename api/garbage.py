"""How often the interpreter looks for garbage that refers to itself."""

import gc

NEW_OBJECTS = 50_000


def look_less_often() -> None:
    """For every process of ours: what a flush makes is freed by its counts of references.

    The interpreter's own 700 new objects are a few commands, and each look goes through what all
    that wait have made: a tenth of the time of bulk commands.
    """
    gc.set_threshold(NEW_OBJECTS, 20, 20)
