"""Restores a backup into an empty data directory: verified, recovered, checked, then named."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from api import embedded
from api.backups import artefact
from api.backups.artefact import Damaged, Description, Progress
from api.backups.contents import Held
from api.checkup import checkup
from api.embedded import EmbeddedServer
from api.embedded.aside import made_aside, settle
from api.embedded.binaries import find_install, major_version
from api.embedded.cluster import Cluster
from api.embedded.copying import BadCopy, verify
from api.settings import Region, Settings
from api.wiring import Database
from ledger.store.hashes import first_break_of_lane
from ledger.store.lanes import LANES
from projections.follower import ViewBehind

CATCH_UP_LIMIT_S = 600.0


class CannotRestore(Exception):
    """Nothing was restored; the message says why."""


class Restored(NamedTuple):
    """A region as it was found after the restore."""

    region: str
    events: int
    events_at_end: int
    """How many the backup says it holds; later ones were on their way when it ended."""
    concerns: tuple[str, ...]
    """What `doctor` would complain of without the region being unfit to be served."""


class Outcome(NamedTuple):
    """What was restored, from which file."""

    description: Description
    sha256: str
    regions: tuple[Restored, ...]


def restore(settings: Settings, path: Path, progress: Progress) -> Outcome:
    """The data directory of the settings holds what the backup does, and is fit to be served.

    Raises NotEmpty, CannotRestore, CannotStart and what migrations raise; the directory then is as
    it was."""
    directory = settings.data.expanduser().resolve()
    install = find_install(settings.postgres)
    if not path.is_file():
        raise CannotRestore(f"there is no file {path}")
    with made_aside(directory, install) as aside:
        major = major_version(install, aside)
        try:
            description, sha256 = artefact.unpack(path, aside, _of_major(major), progress)
            progress("verifying, bytes", 0, artefact.size_of(aside / artefact.DATA))
            verify(install, aside / artefact.DATA)
        except (Damaged, BadCopy) as fault:
            raise CannotRestore(str(fault)) from fault
        progress("recovering, regions", 0, len(description.regions))
        Cluster(aside, install).recover_copy()
        with embedded.start(aside, settings.postgres) as server:
            regions = tuple(_checked(server, held, progress) for held in description.regions)
        settle(aside)
    return Outcome(description, sha256, regions)


def _of_major(major: str) -> Callable[[Description], None]:
    """Refuses a backup of another major version of PostgreSQL."""

    def accept(description: Description) -> None:
        if description.major != major:
            raise CannotRestore(
                f"the backup was taken from PostgreSQL {description.postgres}, and this "
                f"installation has PostgreSQL {major}, which cannot read it: set "
                f"BILLING_LEDGER_POSTGRES to the prefix of a PostgreSQL {description.major}"
            )

    return accept


def _checked(server: EmbeddedServer, held: Held, progress: Progress) -> Restored:
    """A region that holds all it held at the backup's end, unbroken, its schema of this release."""
    code = held.region.code
    database = Database(
        region=Region(code=code, name=code, currency=held.region.currency, zone=held.region.zone),
        service_url=server.service_url(held.database),
        owner_url=server.owner_url(held.database),
        is_embedded=True,
    )
    database.migrate()
    database.renew_stale_views()
    events = _events_held_to(database, held, progress)
    with suppress(ViewBehind):  # the checkup tells; whoever serves goes on
        database.catch_up(CATCH_UP_LIMIT_S)
    wrong = [finding for finding in checkup(database) if not finding.ok]
    for finding in wrong:
        if finding.stops and finding.name != "follower":
            raise CannotRestore(f"region {code}: {finding.name}: {finding.says}")
    concerns = tuple(f"{finding.name}: {finding.says}" for finding in wrong)
    return Restored(code, events, held.events, concerns)


def _events_held_to(database: Database, held: Held, progress: Progress) -> int:
    """How many events the region has, every hash of which follows, those of the backup among them.

    A lane's leaf names its account's whole history: equal leaves are equal histories up to there."""
    code = held.region.code
    with closing(database.log()) as log:
        for lane in range(LANES):
            progress(f"{code}: lanes checked", lane + 1, LANES)
            if broken := first_break_of_lane(log.lane(lane)):
                raise CannotRestore(f"region {code}: the history is broken: {broken}")
        for head in held.heads:
            found = log.read_lane(head.lane, head.position - 1, limit=1)
            if [head.leaf] != [event.leaf.hex() for event in found]:
                raise CannotRestore(
                    f"region {code}: lane {head.lane} does not hold the event that the backup says "
                    f"is at position {head.position}"
                )
        return sum(head.position for head in log.heads())
