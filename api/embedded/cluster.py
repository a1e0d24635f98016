"""One data directory and its server process: made, started, recognised, stopped.

Every function that changes something is called under the directory's start lock (locks.py).
"""

import secrets
import shutil
import socket
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
from psycopg import sql

from api.embedded.binaries import (
    Account,
    CannotStart,
    first_closed,
    major_version,
    prune_copies,
    readable_install,
    run,
    unprivileged_account,
)

ADMIN, OWNER, SERVICE = ROLES = ("billing_admin", "billing_owner", "billing_service")
INIT_LIMIT_S = 300
START_LIMIT_S = 600  # recovery after a crash replays the log first
RECOVER_LIMIT_S = 6 * 3600  # a copy brings the log of the hours that taking it took
STOP_LIMIT_S = 120
START_ATTEMPTS_MAX = 20  # with the pauses 19 s for the processes of a killed server to go
RETRY_PAUSE_S = 0.1
FAULTS_MAX = 3  # other faults: one may be that it was killed while it started
PROBE_LIMIT_S = 1.0
# Faults that pass: the port is taken; a process of a killed server is not yet gone.
PORT_TAKEN, STILL_IN_USE = "could not bind", "is still in use"
READY_POLL_S = 0.02
LOG_LINES_SHOWN = 12

BUFFERS_OF_MEMORY = 1 / 8
BUFFERS_MB_MIN, BUFFERS_MB_MAX = 128, 4_096
"""How much of a machine's memory caches tables: what a large ledger gains from more is measured in
docs/decisions/0009-storage.md; it is taken as it is used."""
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Given on the command line of every start, beside `buffers`; no value holds a space.
SETTINGS = {
    # A ledger: what was acknowledged is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Loopback TCP only: a socket file would need a directory both users can reach.
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "jit": "off",  # short statements: compiling costs more than it saves
    "timezone": "UTC",
    # A week of log files in the data directory, without the text of failed statements.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "server-%u.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_min_error_statement": "panic",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


# Those that matter to a server that nobody connects to.
ALONE = ("fsync", "full_page_writes", "log_min_error_statement")

# Where a cluster is made before it counts; in an empty directory it stops a start (aside.py).
RESTORING = "restoring-"


def buffers() -> str:
    """The part of the memory of this machine, or container, that caches tables."""
    memory = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # no container, or one without a limit
        memory = min(memory, int(CONTAINER_LIMIT.read_text()))
    wanted_mb = int(memory * BUFFERS_OF_MEMORY) // 2**20
    return f"{min(max(wanted_mb, BUFFERS_MB_MIN), BUFFERS_MB_MAX)}MB"


class Cluster:
    """The PostgreSQL cluster kept in `directory`, run with the programs of `install`."""

    def __init__(self, directory: Path, install: Path) -> None:
        self.directory = directory
        self.data = directory / "pgdata"
        self._install = install
        self._pid_file = self.data / "postmaster.pid"
        self._port_file = directory / "port"

    @property
    def port(self) -> int:
        """The port of the server that was started last."""
        port = self._last_port()
        assert port is not None, "no server was ever started here"
        return port

    def password(self, role: str) -> str:
        return (self.directory / f"{role}.password").read_text()

    def is_running(self) -> bool:
        """True when the server of this directory lives, ready or not."""
        pid = self._recorded_pid()
        return pid is not None and self._is_postmaster(pid)

    def ensure_running(self) -> None:
        """The server runs and takes connections. Raises CannotStart."""
        if self.is_running() and self._becomes_ready():
            return
        account = unprivileged_account(self.data)
        if account:
            self._refuse_closed_folders(account)
        is_new = not (self.data / "PG_VERSION").exists()
        if is_new:
            self._refuse_half_restored()
        for pattern in ("aside-*", f"{RESTORING}*"):
            for left_over in self.directory.glob(pattern):
                shutil.rmtree(left_over, ignore_errors=True)
        if is_new:
            self._initialise(account)
        install = readable_install(self._install, self.directory, account)
        self._refuse_other_major(install)
        prune_copies(self.directory, keep=install)
        self._disown_dead_postmaster()
        self._start(install, account)

    def recover_copy(self) -> None:
        """The copy of another cluster that lies in `data` is recovered to its end, and is ours.

        It gets passwords of its own, so a copy never holds those of where it was taken. Raises
        CannotStart."""
        account = unprivileged_account(self.data)
        if account:
            self._refuse_closed_folders(account)
            for path in (self.data, *self.data.rglob("*")):
                shutil.chown(path, account.uid, account.gid)
        install = readable_install(self._install, self.directory, account)
        self._refuse_other_major(install)
        self._make_passwords()
        # Single-user mode: nobody can connect before the passwords are set.
        done = run(
            install,
            "postgres",
            "--single",
            "-D",
            self.data,
            *(f"--{name}={SETTINGS[name]}" for name in ALONE),
            "postgres",
            cwd=self.directory,
            account=account,
            limit_s=RECOVER_LIMIT_S,
            given="".join(f"{self._new_password(role)};\n" for role in ROLES),
        )
        if done.returncode != 0:
            last = "\n".join(done.stderr.splitlines()[-LOG_LINES_SHOWN:])
            raise CannotStart(f"PostgreSQL cannot recover {self.data}:\n{last}")

    def stop(self) -> None:
        """The server is down: open transactions are rolled back, nothing committed is lost."""
        if not self.is_running():
            return
        account = unprivileged_account(self.data)
        install = readable_install(self._install, self.directory, account)
        # pg_ctl may find it gone already, which is what was asked for.
        run(
            install,
            "pg_ctl",
            "-D",
            self.data,
            "-w",
            "-t",
            str(STOP_LIMIT_S),
            "-m",
            "fast",
            "stop",
            cwd=self.directory,
            account=account,
            limit_s=STOP_LIMIT_S + 10,
        )

    def _refuse_closed_folders(self, account: Account) -> None:
        self.directory.chmod(self.directory.stat().st_mode | 0o011)  # ours, so ours to open
        if closed := first_closed(self.directory, account):
            raise CannotStart(
                f"run as root, PostgreSQL works as user {account.uid}, who cannot pass through "
                f"{closed}: set BILLING_LEDGER_DATA to a directory outside it"
            )

    def _initialise(self, account: Account | None) -> None:
        """A new cluster in place: made aside and renamed, so that a killed start leaves no half."""
        self._make_passwords()
        # A fresh name each time: an orphaned initdb may still write into the last one.
        aside = self.directory / f"aside-{uuid.uuid4().hex}"
        aside.mkdir(mode=0o700)
        first_password = aside / "password"
        write_secret(first_password, self.password(ADMIN))
        if account:
            shutil.chown(aside, account.uid, account.gid)
            shutil.chown(first_password, account.uid, account.gid)
        install = readable_install(self._install, self.directory, account)
        done = run(
            install,
            "initdb",
            "-D",
            aside / "pgdata",
            "-U",
            ADMIN,
            f"--pwfile={first_password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            cwd=self.directory,
            account=account,
            limit_s=INIT_LIMIT_S,
        )
        if done.returncode != 0:
            raise CannotStart(f"initdb failed in {aside}: {done.stderr or done.stdout}")
        (aside / "pgdata").rename(self.data)
        shutil.rmtree(aside)

    def _make_passwords(self) -> None:
        for role in ROLES:
            write_secret(self.directory / f"{role}.password", secrets.token_urlsafe(24))

    def _new_password(self, role: str) -> str:
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        return statement.format(sql.Identifier(role), self.password(role)).as_string()

    def _refuse_half_restored(self) -> None:
        for half in self.directory.glob(f"{RESTORING}*"):
            raise CannotStart(
                f"a restore into {self.directory} was not finished: run `billing-ledger restore` "
                f"again, or remove {half} to begin with an empty ledger"
            )

    def _refuse_other_major(self, install: Path) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        ours = major_version(install, self.directory)
        if made_by != ours:
            raise CannotStart(
                f"{self.data} was made by PostgreSQL {made_by}, and this installation has "
                f"PostgreSQL {ours}, which cannot read it: set BILLING_LEDGER_POSTGRES to the "
                f"prefix of a PostgreSQL {made_by}, or dump with that version and restore into "
                "a new directory"
            )

    def _disown_dead_postmaster(self) -> None:
        """A pid file naming a zombie, or a pid that another program has now, no longer stops a start.

        PostgreSQL takes any living pid in the file for a running server, except its grandparent's.
        Naming us instead of deleting the file keeps PostgreSQL's own check that no orphaned backend
        is still attached to the shared memory named further down in it."""
        pid = self._recorded_pid()
        if pid is None or not psutil.pid_exists(pid):
            return  # PostgreSQL clears that by itself
        lines = self._pid_file.read_text().splitlines(keepends=True)
        with self._pid_file.open("r+") as file:
            file.writelines([f"{psutil.Process().pid}\n", *lines[1:]])
            file.truncate()

    def _start(self, install: Path, account: Account | None) -> None:
        """A server on the last port, or on another free one when that is taken."""
        port = self._last_port() or free_port()
        given = {**SETTINGS, "shared_buffers": buffers()}
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        early_log = self.data / "start.log"  # what it says before its log has a collector
        said, faults = "", 0
        for attempt in range(START_ATTEMPTS_MAX):
            said_before = len(_content(early_log))
            done = run(
                install,
                "pg_ctl",
                "-D",
                self.data,
                "-w",
                "-t",
                str(START_LIMIT_S),
                "-l",
                early_log,
                "-o",
                f"-p {port} {options}",
                "start",
                cwd=self.directory,
                account=account,
                limit_s=START_LIMIT_S + 10,
            )
            if done.returncode == 0:
                self._note_port(port)
                return
            early = _content(early_log)[said_before:].decode(errors="replace")
            said = done.stderr + early + self._log_tail()
            if STILL_IN_USE not in early:
                # The collector may not have written yet that the port is taken.
                if PORT_TAKEN in said or is_taken(port):
                    port = free_port()
                else:
                    faults += 1
            if faults == FAULTS_MAX:
                break
            time.sleep(RETRY_PAUSE_S * attempt)
        raise CannotStart(f"PostgreSQL does not start in {self.data}: {said}")

    def _becomes_ready(self) -> bool:
        """True once a server that someone else started, and may have been killed over, is ready;
        False when it ends before."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            lines = self._pid_lines()
            if len(lines) > 7 and lines[7].strip() == "ready":
                # Whoever started it may have been killed before noting the port.
                self._note_port(int(lines[3]))
                return True
            if not self.is_running():
                return False
            time.sleep(READY_POLL_S)
        raise CannotStart(f"PostgreSQL is not ready after {START_LIMIT_S} s: {self._log_tail()}")

    def _last_port(self) -> int | None:
        try:
            return int(self._port_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _note_port(self, port: int) -> None:
        if self._last_port() != port:
            aside = self._port_file.with_suffix(".aside")  # readers take no lock: never half a file
            aside.write_text(str(port))
            aside.replace(self._port_file)

    def _log_tail(self) -> str:
        logs = [self.data / "start.log", *(self.data / "log").glob("*.log")]
        newest = max(
            (log for log in logs if log.exists()), key=lambda p: p.stat().st_mtime, default=None
        )
        if newest is None:
            return ""
        lines = newest.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"\nThe end of {newest}:\n" + "\n".join(lines)

    def _pid_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _recorded_pid(self) -> int | None:
        lines = self._pid_lines()
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def _is_postmaster(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            # A container whose pid 1 reaps nothing keeps a killed server as a zombie.
            return process.status() != psutil.STATUS_ZOMBIE and str(self.data) in process.cmdline()
        except psutil.NoSuchProcess:
            return False


def write_secret(path: Path, secret: str) -> None:
    """`path` holds `secret` and is readable by its owner alone."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secret)


def free_port() -> int:
    """A loopback port that was free just now; it may be taken by the time it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_taken(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(PROBE_LIMIT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
