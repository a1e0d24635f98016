"""Forward-only migrations: applied once each, in order, checked to read as they did then."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

import msgspec
import psycopg
from psycopg.rows import scalar_row, tuple_row

from ledger.store.faults import MigrationChanged, UnsafeRole, WrongRegion
from ledger.store.roles import ensure_roles, grant_roles
from ledger.store.sql import load, read

_SQL = load("ledger.store", "migrate.sql")

Connection = psycopg.Connection[tuple[object, ...]]


class RegionRow(msgspec.Struct, frozen=True):
    """The region a database holds: its code, its currency and its IANA zone."""

    code: str
    currency: str
    zone: str


class Migration(msgspec.Struct, frozen=True):
    """One step: its name, unique and ordered within its package, and its SQL."""

    name: str
    sql: str


def migrations(package: str) -> list[Migration]:
    """The migrations a package ships: its numbered .sql files, in order.

    `ledger.store.migrations` gives names such as "ledger.store/0001_log".
    """
    names = sorted(f.name for f in files(package).iterdir() if f.name.endswith(".sql"))
    owner = package.removesuffix(".migrations")
    return [
        Migration(f"{owner}/{name.removesuffix('.sql')}", read(package, name)) for name in names
    ]


def migrate(
    owner_url: str,
    *,
    region: RegionRow,
    service_role: str | None = None,
    sources: Sequence[Migration] = (),
) -> list[str]:
    """The database is the region's and up to date; the names of what was applied now.

    `sources` are the migrations of other packages, applied after the ledger's own. The login
    `service_role` may then act as each group role. Safe to run twice, and at once from several
    processes. Raises WrongRegion, and MigrationChanged when an applied step reads differently.
    """
    steps = [*migrations("ledger.store.migrations"), *sources]
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(_SQL["lock"])
        ensure_roles(connection)
        connection.execute(_SQL["bootstrap"])
        _refuse_other_region(connection, region)
        applied = _apply(connection, steps)
        if not _region_of(connection):
            connection.execute(_SQL["insert_region"], msgspec.structs.asdict(region))
        if service_role is not None:
            grant_roles(connection, service_role)
    return applied


def pending(connection: Connection, sources: Sequence[Migration] = ()) -> list[str]:
    """The names of migrations not applied yet; raises MigrationChanged."""
    steps = [*migrations("ledger.store.migrations"), *sources]
    return [step.name for step in _not_applied(connection, steps)]


def check_region(connection: Connection, region: RegionRow) -> None:
    """Raises WrongRegion unless the database holds exactly this region."""
    found = _region_of(connection)
    if found != [region]:
        raise WrongRegion(f"the database holds {found or 'no region'}, not {region}")


def check_role(connection: Connection) -> None:
    """Raises UnsafeRole when the session's login could change history."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        why = cursor.execute(_SQL["dangers"]).fetchall()
    if why:
        raise UnsafeRole(
            f"the database login {' and '.join(map(str, why))}: serve with a login of its own, "
            "which migrations grant what it needs"
        )


def _apply(connection: Connection, steps: Sequence[Migration]) -> list[str]:
    done = []
    for step in _not_applied(connection, steps):
        with connection.transaction():
            connection.execute(step.sql.encode())
            connection.execute(_SQL["record"], {"name": step.name, "sha256": _digest(step)})
        done.append(step.name)
    return done


def _not_applied(connection: Connection, steps: Sequence[Migration]) -> list[Migration]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        there = cursor.execute(_SQL["is_bootstrapped"]).fetchone()
        rows = cursor.execute(_SQL["applied"]).fetchall() if there == (True,) else []
    applied: dict[str, bytes] = dict(rows)
    for step in steps:
        if applied.get(step.name, _digest(step)) != _digest(step):
            raise MigrationChanged(
                f"{step.name} was applied to this database in another form: migrations are never "
                "edited, add a new one"
            )
    return [step for step in steps if step.name not in applied]


def _refuse_other_region(connection: Connection, region: RegionRow) -> None:
    found = _region_of(connection)
    if found and found != [region]:
        raise WrongRegion(f"the database holds {found[0]}: {region} needs one of its own")


def _region_of(connection: Connection) -> list[RegionRow]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        if cursor.execute(_SQL["has_region"]).fetchone() is not True:
            return []
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [RegionRow(*map(str, row)) for row in cursor.execute(_SQL["region"]).fetchall()]


def _digest(step: Migration) -> bytes:
    return sha256(step.sql.encode()).digest()
