"""What every test may use: the shared server, fresh databases, and honest skips."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.embedded import EmbeddedServer, start

pytest_plugins = ["tests.counting"]

OUTSIDE = "needs from outside: "
SKIPPED_FOR = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nothing-missing",
        action="store_true",
        help="fail a test that would be skipped for want of something outside",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED_FOR] = Counter()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`needs(NAME)`: a folder named by that variable (in capitals), tmpfs, or else a program."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if not _is_there(name):
                # What a machine forbids cannot be installed: it is skipped and counted all the same.
                if item.config.getoption("--nothing-missing") and name != "tmpfs":
                    pytest.fail(f"{OUTSIDE}{name}, which is not there", pytrace=False)
                pytest.skip(f"{OUTSIDE}{name}")


def _is_there(name: str) -> bool:
    if name.isupper():
        return Path(os.environ.get(name) or "/nonexistent").is_dir()
    if name == "tmpfs":
        return _can_mount()
    return shutil.which(name) is not None


def _can_mount() -> bool:
    """Whether this process may mount small disks; root in a container often may not."""
    if os.name == "nt" or os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as directory:
        mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", directory]
        if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
            return False
        subprocess.run(["umount", directory], check=True)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    counts = terminalreporter.config.stash[SKIPPED_FOR]
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if OUTSIDE in reason:
            counts[reason.split(OUTSIDE)[1]] += 1
    yield


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of the output: how many tests did not run for want of something outside."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    counts = config.stash[SKIPPED_FOR]
    named = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    reporter.write_line(
        f"skipped for want of something outside: {counts.total()}"
        + (f" ({named})" if named else "")
    )


def server_directory(name: str) -> Path:
    """A directory that the server's own user can reach, which pytest's tmp_path is not for root."""
    return Path(tempfile.gettempdir()) / f"billing-ledger-test-{name}"


@pytest.fixture(scope="session")
def server(testrun_uid: str) -> Iterator[EmbeddedServer]:
    """The embedded server of this test run, one for all xdist workers; the last one out removes it."""
    directory = server_directory(testrun_uid)
    running = start(directory)
    yield running
    running.close()
    if not (directory / "pgdata" / "postmaster.pid").exists():
        shutil.rmtree(directory, ignore_errors=True)  # two may find themselves last


@pytest.fixture
def empty_database(server: EmbeddedServer) -> str:
    """The name of a fresh database on the shared server."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    server.ensure_database(name)
    return name
