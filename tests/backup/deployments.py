"""An embedded ledger of a test's own, with two regions, that may be killed and lost."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from api.settings import Settings, load
from api.wiring import databases
from tests.api.books import fill
from tests.api.conftest import REGIONS
from tests.api.serving import Ran, environment_of, eventually, run, toml
from tests.conftest import server_directory
from tests.embedded.conftest import remove
from tests.embedded.users import living

EVENTS = {"emea": 5, "us": 13}
"""How many events the small book has in each region."""


@dataclass(frozen=True)
class Deployment:
    """A folder for backups, and in it the data directory and the regions file."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.folder / "regions.toml", BILLING_LEDGER_DATA=str(self.data))

    @property
    def settings(self) -> Settings:
        return load(self.environment)

    def run(self, *arguments: str | Path) -> Ran:
        return run(self.environment, *arguments)

    def kill(self, *users: psutil.Process) -> None:
        """The users, their children, the supervisor and the server are dead, all by kill -9."""
        doomed = [*users, *(child for user in users for child in user.children(recursive=True))]
        for name in ("supervisor.pid", "pgdata/postmaster.pid"):
            doomed.append(psutil.Process(int((self.data / name).read_text().split()[0])))
        for process in doomed:
            if process.is_running():
                process.kill()
        eventually(lambda: living(self.data) == [])


@contextmanager
def deployed() -> Iterator[Deployment]:
    """Regions us and emea are migrated and hold the small book; nothing runs."""
    folder = server_directory(f"backup-{uuid.uuid4().hex[:8]}").resolve()
    folder.mkdir(mode=0o755)
    try:
        deployment = Deployment(folder)
        regions = [
            {name: str(getattr(region, name)) for name in ("code", "name", "currency", "zone")}
            for region in REGIONS
        ]
        (folder / "regions.toml").write_text(toml(regions))
        with databases(deployment.settings) as found:
            for database in found:
                database.migrate()
                fill(database)
        yield deployment
    finally:
        remove(folder)


def unseen(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
