"""Directories of their own for servers that a test may break."""

import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from api.embedded import start
from tests.conftest import server_directory
from tests.embedded.users import eventually, living


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory that the server's user can reach; whatever still runs in it is ended."""
    path = new_directory()
    yield path
    remove(path)


@pytest.fixture(scope="session")
def stopped_server() -> Iterator[Path]:
    """A directory whose server holds a database `kept` and is stopped; tests get copies."""
    path = new_directory()
    with start(path) as server:
        server.ensure_database("kept")
    yield path
    remove(path)


@pytest.fixture
def used_directory(stopped_server: Path, directory: Path) -> Path:
    """A directory with a stopped server that holds a database `kept`."""
    # The data's owner and modes matter, which shutil does not copy.
    subprocess.run(["cp", "-a", f"{stopped_server}/.", directory], check=True)
    (directory / "port").unlink()  # two copies at once would want the same
    return directory


def new_directory() -> Path:
    path = server_directory(uuid.uuid4().hex).resolve()
    path.mkdir(mode=0o755)
    return path


def remove(path: Path) -> None:
    for process in psutil.process_iter():
        try:
            if any(part.startswith(str(path)) for part in process.cmdline()):
                process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    eventually(lambda: living(path) == [])
    shutil.rmtree(path, ignore_errors=True)
