"""How a copy becomes the cluster of an empty data directory: aside until it is whole, then at once."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.embedded.binaries import unprivileged_account
from api.embedded.cluster import RESTORING, Cluster
from api.embedded.locks import DirectoryLocks
from api.embedded.supervisor import end_supervisor

COUNTS_AS_EMPTY = {"start.lock", "users.lock", "lost+found"}
"""Locks, and what a file system puts into a directory that is its root."""


class NotEmpty(Exception):
    """A data directory holds something already; it is left as it is."""


@contextmanager
def made_aside(directory: Path, install: Path) -> Iterator[Path]:
    """A folder in which to make the cluster of a data directory that is empty or absent.

    Nobody starts a server in the directory meanwhile. What has not settled by the end of the block
    is removed; a killed block leaves a folder that stops a start, and that the next block removes.
    Raises NotEmpty."""
    refuse_unless_empty(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with DirectoryLocks(directory).changing():
        refuse_unless_empty(directory)  # somebody may have been quicker
        _remove_left_overs(directory, install)
        aside = directory / f"{RESTORING}{uuid.uuid4().hex}"
        aside.mkdir(mode=0o700)
        if unprivileged_account(aside):
            directory.chmod(directory.stat().st_mode | 0o011)  # ours, so ours to open
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def settle(aside: Path) -> None:
    """The stopped cluster made aside is that of the data directory around it, from one rename on."""
    directory = aside.parent
    for password in aside.glob("*.password"):
        password.rename(directory / password.name)
    (aside / "pgdata").rename(directory / "pgdata")
    sync_folder(directory)


def refuse_unless_empty(directory: Path) -> None:
    """Raises NotEmpty when there is more in it than locks and what a killed restore left."""
    if not directory.exists():
        return
    there = {path.name for path in directory.iterdir()} - COUNTS_AS_EMPTY
    if any(name.startswith(RESTORING) for name in there) and "pgdata" not in there:
        there = {n for n in there if not n.startswith(RESTORING) and not n.endswith(".password")}
    if there:
        raise NotEmpty(
            f"{directory} is not empty (it holds {', '.join(sorted(there)[:3])}) and is left as it "
            "is: a restore goes into an empty or absent directory; move this one away, or set "
            "BILLING_LEDGER_DATA to another"
        )


def sync_folder(folder: Path) -> None:
    """What was named and renamed in a folder is on disk."""
    if os.name == "nt":
        return  # a folder cannot be opened there, and names are on disk without
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_left_overs(directory: Path, install: Path) -> None:
    for left_over in directory.glob(f"{RESTORING}*"):
        with DirectoryLocks(left_over).changing():
            end_supervisor(left_over)
            Cluster(left_over, install).stop()
        shutil.rmtree(left_over)
    for password in directory.glob("*.password"):
        password.unlink()
