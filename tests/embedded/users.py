"""Processes that use an embedded server, and what can be seen of the server from outside."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

PROGRAM = Path(__file__).with_name("user_program.py")
WAIT_LIMIT_S = 30


class User:
    """A process that starts or joins the server of a directory, and may be killed."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, directory, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def ready(self) -> str:
        """The owner's URL, once the server is there."""
        word, _, rest = self._answer().partition(" ")
        assert word == "ready", rest
        return rest

    def refused(self) -> str:
        word, _, rest = self._answer().partition(" ")
        assert word == "refused", rest
        return rest

    def obey(self, order: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        assert self._answer() == f"done {order}"

    def end(self) -> None:
        """Ends in good order: the end of its input, then of Python."""
        self._process.communicate(timeout=WAIT_LIMIT_S)
        assert self._process.returncode == 0

    def kill(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)
        self._process.communicate(timeout=WAIT_LIMIT_S)

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().rstrip("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=WAIT_LIMIT_S)


def eventually(claim: Callable[[], bool]) -> None:
    """Returns once the claim holds; fails when it does not within the limit."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while not claim():
        assert time.monotonic() < deadline, "not within the limit"
        time.sleep(0.02)


def kill(process: psutil.Process) -> None:
    """The process is dead, by signal 9, reaped or not."""
    process.kill()
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def postmaster(directory: Path) -> psutil.Process:
    """The server's main process, by its pid file."""
    return psutil.Process(int((directory / "pgdata" / "postmaster.pid").read_text().split()[0]))


def supervisor(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "supervisor.pid").read_text()))


def living(directory: Path) -> list[str]:
    """The command lines of every process that works on the directory, users excepted."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if any(part.startswith(str(directory)) for part in line) and str(PROGRAM) not in line:
            found.append(" ".join(line))
    return found
