"""How much memory a piece of work took at most, with the processes it started."""

import threading
from typing import Self

import psutil

from benchmarks.served import mib

EVERY_S = 0.25


class Peak:
    """A context in which the memory of this process and its children is looked at all the time."""

    def __init__(self) -> None:
        self.mib = 0.0
        """The most that was seen."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peak", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        this = psutil.Process()
        while True:
            self.mib = max(self.mib, sum(map(_mib, [this, *this.children(recursive=True)])))
            if self._over.wait(EVERY_S):
                return


def _mib(process: psutil.Process) -> float:
    """Nothing for one that has just ended, or is another user's: the server's processes are."""
    try:
        return mib(process)
    except psutil.Error:
        return 0.0
