"""A running embedded server as its users see it: addresses, databases, and when it stops."""

import atexit
import os
import threading
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from api.embedded.binaries import CannotStart, find_install
from api.embedded.cluster import ADMIN, OWNER, SERVICE, START_LIMIT_S, Cluster
from api.embedded.locks import DirectoryLocks
from api.embedded.supervisor import end_supervisor, ensure_supervised
from ledger.store.sql import load

CONNECT_LIMIT_S = 30
READY_ATTEMPTS_MAX = 3
READY_POLL_S = 0.05
RECOVERING = ("is starting up", "not yet accepting connections", "in recovery mode")
"""How PostgreSQL refuses connections for a while (57P03, which psycopg does not tell apart)."""

# One hold for each directory: the kernel's locks do not count the users inside a process.
_holds: dict[Path, "_Hold"] = {}
_guard = threading.Lock()


def start(directory: Path, postgres: Path | None = None) -> "EmbeddedServer":
    """The server of `directory`, running, made first if need be; this process is a user until `close`.

    `postgres` is the prefix of a host's PostgreSQL to use instead of the wheel's.
    Raises CannotStart with what to do about it."""
    directory = directory.expanduser().resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _guard:
            hold = _holds.get(directory) or _Hold(directory, find_install(postgres))
            hold.enter()
    except PermissionError as fault:
        path = os.fsdecode(fault.filename)
        raise CannotStart(
            f"no permission for {path}: set BILLING_LEDGER_DATA to a directory of your own"
        ) from fault
    return EmbeddedServer(hold)


class EmbeddedServer:
    """One user's handle on a running server; also a context manager."""

    def __init__(self, hold: "_Hold") -> None:
        self._hold = hold
        self._cluster = hold.cluster
        self._closed = False
        atexit.register(self.close)

    @property
    def directory(self) -> Path:
        """The data directory, absolute."""
        return self._cluster.directory

    def owner_url(self, database: str) -> str:
        """For migrations: a role that may create roles and owns the database, not a superuser."""
        return self._url(OWNER, database)

    def service_url(self, database: str) -> str:
        """For serving: a role that may log in, and what migrations grant it."""
        return self._url(SERVICE, database)

    def admin_url(self, database: str = "postgres") -> str:
        """For setting up databases only: the superuser."""
        return self._url(ADMIN, database)

    def ensure_database(self, database: str) -> None:
        """The database exists, in UTF-8 with C order, owned by the owner role."""
        with self._hold.locks.changing(), _connect(self.admin_url()) as connection:
            _run_missing(connection, "missing_database", {"database": database})

    def close(self) -> None:
        """This user is gone; the last one out stops the server. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        if self._hold.pid != os.getpid():
            return  # a forked child: its parent is the user
        with _guard:
            self._hold.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _url(self, role: str, database: str) -> str:
        cluster = self._cluster
        return f"postgresql://{role}:{cluster.password(role)}@127.0.0.1:{cluster.port}/{database}"


class _Hold:
    """This process's use of one directory, shared by its handles. Guarded by `_guard`."""

    def __init__(self, directory: Path, install: Path) -> None:
        self.pid = os.getpid()
        self.cluster = Cluster(directory, install)
        self.locks = DirectoryLocks(directory)
        self._install = install
        self._users = 0

    def enter(self) -> None:
        directory = self.cluster.directory
        with self.locks.changing():
            if self._users == 0:
                self.locks.join()
                _holds[directory] = self
            self._users += 1
            try:
                self._ensure_ready()
                ensure_supervised(directory, self._install)
            except BaseException:
                self._drop_user()
                raise

    def leave(self) -> None:
        with self.locks.changing():
            self._drop_user()

    def _drop_user(self) -> None:
        """One handle fewer; the last one of the last process stops the server."""
        self._users -= 1
        if self._users > 0:
            return
        self.locks.leave()
        del _holds[self.cluster.directory]
        if self.locks.no_users():
            end_supervisor(self.cluster.directory)
            self.cluster.stop()

    def _ensure_ready(self) -> None:
        """The server runs, with its roles; tried again when it is killed just then.

        After the kill of a single backend it recovers, and says so, for as long as that takes.
        """
        attempts = 0
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            self.cluster.ensure_running()
            try:
                self._ensure_roles()
                return
            except psycopg.OperationalError as fault:
                recovering = any(sign in str(fault) for sign in RECOVERING)
                attempts += not recovering
                if attempts == READY_ATTEMPTS_MAX or time.monotonic() > deadline:
                    where = self.cluster.data
                    raise CannotStart(f"PostgreSQL in {where} does not answer: {fault}") from fault
                time.sleep(READY_POLL_S if recovering else 0)

    def _ensure_roles(self) -> None:
        cluster = self.cluster
        admin = f"postgresql://{ADMIN}:{cluster.password(ADMIN)}@127.0.0.1:{cluster.port}/postgres"
        passwords = {role: cluster.password(role) for role in (OWNER, SERVICE)}
        with _connect(admin) as connection:
            _run_missing(connection, "missing_login_roles", passwords)


def _connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_LIMIT_S)


def _run_missing(
    connection: psycopg.Connection[tuple[Any, ...]], block: str, facts: dict[str, str]
) -> None:
    """Runs the statements that a block of server.sql gives."""
    for (statement,) in connection.execute(
        load(__package__, "server.sql")[block], facts
    ).fetchall():
        connection.execute(statement)


def _forget_after_fork() -> None:
    """A forked child holds no lock and is no user: its parent is."""
    global _guard
    _guard = threading.Lock()
    _holds.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_after_fork)
