"""What docs/backup.md tells the operators of a PostgreSQL of their own is run, and comes true."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from api.embedded import start
from api.embedded.binaries import find_install, unprivileged_account
from tests.api.serving import ROOT
from tests.backup.deployments import Deployment
from tests.embedded.conftest import remove

PAGE = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## On a PostgreSQL of your own")[2]


def shell(commands: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What the commands print; every one of them must succeed."""
    path = os.pathsep.join(
        [str(find_install(None) / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    return done.stdout


def put_in_place(base: Path, of: Path, directory: Path) -> None:
    """The copy is the data directory of a server with the same roles and passwords."""
    directory.mkdir()
    for password in of.glob("*.password"):
        shutil.copy(password, directory)
    if account := unprivileged_account(of / "pgdata"):
        for path in (base, *base.rglob("*")):
            shutil.chown(path, account.uid, account.gid)
    base.rename(directory / "pgdata")


def test_a_server_of_ones_own_is_copied_and_checked(small: Deployment) -> None:
    """The commands copy a cluster; started in its place, the copy passes every check shown."""
    take, check = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    folder = small.folder / "own"
    folder.mkdir()
    try:
        with start(small.data) as server:
            where = psycopg.conninfo.conninfo_to_dict(server.admin_url())
            names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
            said = shell(take, folder, {names[name]: str(where[name]) for name in names})
        assert "successfully verified" in said
        put_in_place(folder / "base", small.data, folder / "server")
        with start(folder / "server") as server:
            urls = {
                "DATABASE_URL": server.service_url("ledger_us"),
                "DATABASE_OWNER_URL": server.owner_url("ledger_us"),
            }
            said = shell(check, folder, urls)
        assert "ok    us: schema" in said
        assert "events folded anew, 0 differences" in said
        assert "balance: " in said
    finally:
        remove(folder)
