"""Who uses a data directory: a shared lock for each process, held by the kernel, so kill -9 frees it.

On POSIX these are fcntl locks: a forked child holds none, and a process holds one however many of
its threads ask, which is why threads need a lock of their own and server.py counts handles.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fasteners


class DirectoryLocks:
    """The two locks of one data directory, as seen from this process."""

    def __init__(self, directory: Path) -> None:
        self._start_path = directory / "start.lock"
        self._threads = threading.Lock()
        self._users_path = directory / "users.lock"
        self._users = fasteners.InterProcessReaderWriterLock(self._users_path)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else starts, stops, joins or leaves meanwhile."""
        with self._threads, fasteners.InterProcessLock(self._start_path):
            yield

    def join(self) -> None:
        """This process counts as a user. Call it while `changing`."""
        self._users.acquire_read_lock()

    def leave(self) -> None:
        """This process no longer counts as a user."""
        self._users.release_read_lock()

    def no_users(self) -> bool:
        """True when no process is a user. Call it while `changing`, when not one yourself."""
        probe = fasteners.InterProcessReaderWriterLock(self._users_path)
        if probe.acquire_write_lock(blocking=False):
            probe.release_write_lock()
            return True
        # fasteners 0.20 leaves the file open. Closed by the garbage collector later, while this
        # process is a user again, it would take that lock along (test_sharing: comes again).
        probe.lockfile.close()
        return False
