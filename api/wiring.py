"""The one place where things are wired: from settings to a region's database and what works on it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg

from api import embedded
from api.documents.pool import Typesetters
from api.doors import RegionDoor
from api.reads import SummaryReader
from api.security.passwords import PasswordPool
from api.security.resets import Resets
from api.security.sign_in import SignIn
from api.settings import Region, Settings
from ledger.closing import MonthEnds
from ledger.import_marks import KeptMarks
from ledger.period_close import PeriodCloses
from ledger.store.committer import Ledger
from ledger.store.log import Log
from ledger.store.migrate import Migration, RegionRow, migrate, migrations
from ledger.store.roles import AUDITOR, acting_as
from ledger.store.sql import load
from projections.follower import Follower
from projections.model import ReadModel, ensure, is_current
from projections.read_models import READ_MODELS
from projections.rebuild import Progress, Rebuilt, rebuild

SOURCES: tuple[Migration, ...] = (
    *migrations("projections.migrations"),
    *migrations("api.migrations"),
)
"""The migrations that come after the ledger's own, in order."""

_SQL = load("api", "wiring.sql")


class NoOwner(Exception):
    """A database cannot be changed in its schema: nobody said how to reach it as its owner."""


@dataclass(frozen=True)
class Database:
    """A region and how its database is reached."""

    region: Region
    service_url: str
    owner_url: str | None
    is_embedded: bool

    @property
    def row(self) -> RegionRow:
        """What the database must say of itself."""
        return RegionRow(self.region.code, self.region.currency, self.region.zone)

    def today(self) -> date:
        """The region's business day, by this machine's clock."""
        return self.region.today()

    def ledger(self) -> Ledger:
        """The door to the region's log; to be closed."""
        return Ledger(self.service_url, self.region.code)

    def month_ends(self) -> MonthEnds:
        """The region's month ends; to be closed."""
        return MonthEnds(self.service_url)

    def period_closes(self) -> PeriodCloses:
        """The region's closed months; to be closed."""
        return PeriodCloses(self.service_url)

    def import_marks(self, file_sha256: bytes) -> KeptMarks:
        """How far imports of a file got; to be closed."""
        return KeptMarks(self.service_url, file_sha256)

    def log(self) -> Log:
        """The region's log for reading; to be closed."""
        return Log(acting_as(self.service_url, AUDITOR))

    def follower(self, model: ReadModel) -> Follower:
        """What keeps a read model up with the region's log; to be closed."""
        return Follower(self.service_url, model)

    def catch_up(self, timeout_s: float) -> None:
        """Every view holds what the log holds by now; raises ViewBehind."""
        for model in READ_MODELS:
            follower = self.follower(model)
            try:
                follower.catch_up(timeout_s=timeout_s)
            finally:
                follower.close()

    def migrate(self) -> list[str]:
        """The database is up to date and the service's login may work in it; what was applied.

        Raises NoOwner, WrongRegion and MigrationChanged.
        """
        owner_url = self._owner_url()
        login = self._service_login()
        applied = migrate(owner_url, region=self.row, service_role=login, sources=SOURCES)
        for model in READ_MODELS:
            if ensure(owner_url, model):
                applied.append(model.name)
        with psycopg.connect(owner_url, autocommit=True) as connection:
            if login is not None:
                connection.execute(_SQL["admit"], {"login": login})
        return applied

    def stale_views(self) -> list[ReadModel]:
        """The views that were made by another release: they need a rebuild."""
        with psycopg.connect(self._owner_url(), autocommit=True) as connection:
            return [model for model in READ_MODELS if not is_current(connection, model)]

    def renew_stale_views(self) -> None:
        """No view is stale."""
        for model in self.stale_views():
            self.rebuild(model, lambda step: None, accept_differences=True)

    def rebuild(
        self,
        model: ReadModel,
        progress: Callable[[Progress], None],
        *,
        accept_differences: bool,
    ) -> Rebuilt:
        """A read model is made anew and swapped; raises NoOwner, Differs and its like."""
        return rebuild(
            self._owner_url(),
            self.service_url,
            model,
            progress=progress,
            accept_differences=accept_differences,
        )

    def _owner_url(self) -> str:
        if self.owner_url is None:
            variable = "DATABASE_OWNER_URL, or database_owner_url in the regions file,"
            raise NoOwner(f"region {self.region.code}: {variable} must say who owns its database")
        return self.owner_url

    def _service_login(self) -> str | None:
        """The login that serves; None when only the owner's address was given."""
        if self.service_url == self.owner_url:
            return None
        user = psycopg.conninfo.conninfo_to_dict(self.service_url).get("user")
        return None if user is None else str(user)


@contextmanager
def databases(settings: Settings) -> Iterator[tuple[Database, ...]]:
    """The regions of the settings, their embedded server running meanwhile if one needs it.

    Raises CannotStart.
    """
    if not settings.needs_embedded_server:
        yield tuple(_external(region) for region in settings.regions)
        return
    with embedded.start(settings.data, settings.postgres) as server:
        found = []
        for region in settings.regions:
            if region.database_url is not None:
                found.append(_external(region))
                continue
            server.ensure_database(region.database)
            found.append(
                Database(
                    region=region,
                    service_url=server.service_url(region.database),
                    owner_url=server.owner_url(region.database),
                    is_embedded=True,
                )
            )
        yield tuple(found)


class Doors:
    """What one serving process reads and signs in with; made outside, used inside an event loop."""

    def __init__(self, databases: tuple[Database, ...], fonts: Path | None = None) -> None:
        self.databases = databases
        self.closing = asyncio.Event()
        """Set before the process ends: what would never end by itself does then."""
        self.passwords = PasswordPool()
        self.typesetters = Typesetters(fonts)
        self.regions = {
            database.region.code: RegionDoor(
                database,
                SummaryReader(database.region, database.service_url),
                self.closing,
            )
            for database in databases
        }
        signing = {code: door.signing for code, door in self.regions.items()}
        self.sign_in = SignIn(signing, self.passwords)
        self.resets = Resets(signing, self.passwords)

    async def close(self) -> None:
        """What is under way is done, and no connection is left."""
        self.passwords.close()
        await asyncio.to_thread(self.typesetters.close)
        for door in self.regions.values():
            await door.close()


def _external(region: Region) -> Database:
    assert region.database_url is not None
    return Database(
        region=region,
        service_url=region.database_url,
        owner_url=region.database_owner_url,
        is_embedded=False,
    )
