"""A small process beside the server: stops it when its last user was killed, restarts it when it was.

A user that ends in good order stops the server itself; kill -9 leaves nobody else to do it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from api.embedded.binaries import CannotStart
from api.embedded.cluster import Cluster
from api.embedded.locks import DirectoryLocks

PROGRAM = "api.embedded"  # __main__.py
POLL_S = 0.25
AGAIN_S = 2.0
"""Between two tries to start a server that does not start: on a full disk, until there is room."""
END_LIMIT_S = 10


def ensure_supervised(directory: Path, install: Path) -> None:
    """A supervisor watches the directory. Call it while `changing`."""
    if _running(directory):
        return
    with (directory / "supervisor.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", PROGRAM, str(directory), str(install)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C meant for its user must not end it first
        )
    _pid_file(directory).write_text(str(process.pid))
    process.returncode = 0  # it outlives us by design: no warning that it still runs


def end_supervisor(directory: Path) -> None:
    """No supervisor watches the directory. Call it while `changing`."""
    supervisor = _running(directory)
    if supervisor is None:
        return
    try:
        supervisor.terminate()
    except psutil.NoSuchProcess:
        return
    deadline = time.monotonic() + END_LIMIT_S
    while _running(directory) and time.monotonic() < deadline:
        time.sleep(0.005)


def supervise(directory: Path, install: Path) -> None:
    """Returns when the server has no users left and is stopped, or another supervisor took over."""
    locks, cluster = DirectoryLocks(directory), Cluster(directory, install)
    wait_s = POLL_S
    while True:
        time.sleep(wait_s)
        wait_s = POLL_S
        if not directory.exists():
            return
        with locks.changing():
            if _recorded_pid(directory) != os.getpid():
                return
            if locks.no_users():
                cluster.stop()
                _pid_file(directory).unlink()  # while `changing`: the next start makes a new one
                return
            try:
                cluster.ensure_running()
            except (CannotStart, OSError):
                wait_s = AGAIN_S  # PostgreSQL's own log says why, if there is room for it


def _pid_file(directory: Path) -> Path:
    return directory / "supervisor.pid"


def _recorded_pid(directory: Path) -> int | None:
    try:
        return int(_pid_file(directory).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _running(directory: Path) -> psutil.Process | None:
    """The living supervisor of the directory, told from a reused pid by its command line."""
    pid = _recorded_pid(directory)
    try:
        process = psutil.Process(pid) if pid is not None else None
        if process is None or process.status() == psutil.STATUS_ZOMBIE:
            return None
        arguments = process.cmdline()
    except psutil.NoSuchProcess:
        return None
    return process if PROGRAM in arguments and str(directory) in arguments else None
