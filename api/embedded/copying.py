"""Copies of a running cluster by PostgreSQL's own programs: taken with the log, and verified."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from api.embedded.binaries import run, started

VERIFY_LIMIT_S = 24 * 3600


class BadCopy(Exception):
    """A copy is not what its manifest says, or its log cannot be read; the message says where."""


@contextmanager
def copying(
    install: Path, admin_url: str, into: Path, *, name: str, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """pg_basebackup at work, filling `into`: the files, and the log written until they were read.

    Its sessions are called `name`. Files need not be on disk when it ends."""
    where = conninfo_to_dict(admin_url)
    with started(
        install,
        "pg_basebackup",
        f"--pgdata={into}",
        f"--host={where['host']}",
        f"--port={where['port']}",
        f"--username={where['user']}",
        "--no-password",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--no-sync",
        log=log,
        environment={"PGPASSWORD": str(where["password"]), "PGAPPNAME": name},
    ) as process:
        yield process


def verify(install: Path, copy: Path) -> None:
    """Every file is as the manifest says, by SHA-256, and the log needed can be read; or BadCopy."""
    done = run(
        install,
        "pg_verifybackup",
        "--exit-on-error",
        copy,
        cwd=copy,
        account=None,
        limit_s=VERIFY_LIMIT_S,
    )
    if done.returncode != 0:
        raise BadCopy((done.stderr or done.stdout).strip())
