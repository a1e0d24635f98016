"""What commands of one region share: its option, and its database, fit to be worked with."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from api.cli.screen import Misuse
from api.serving.service import refuse_unfit
from api.settings import Settings
from api.wiring import Database, databases


def add_region(parser: argparse.ArgumentParser) -> None:
    """The option --region."""
    parser.add_argument("--region", help="code of the region; needed where there are several")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json."""
    parser.add_argument("--json", action="store_true", help="print JSON lines for machines")


def chosen(settings: Settings, code: str | None) -> Settings:
    """The settings with that region alone; raises Misuse when it is not clear which."""
    codes = ", ".join(region.code for region in settings.regions)
    if code is None:
        if len(settings.regions) > 1:
            raise Misuse(f"say which region: --region, one of {codes}")
        return settings
    try:
        return replace(settings, regions=(settings.region(code),))
    except KeyError:
        raise Misuse(f"--region {code}: is none of {codes}") from None


@contextmanager
def fit_databases(
    settings: Settings, but_for: tuple[str, ...] = ()
) -> Iterator[tuple[Database, ...]]:
    """The regions' databases, ready to be worked with.

    Those in the embedded server are migrated; others must have been, by `migrate`. `but_for` names
    findings of a checkup that do not matter for the work. Raises
    CannotStart, CannotServe, WrongRegion and MigrationChanged.
    """
    with databases(settings) as found:
        for database in found:
            if database.is_embedded:
                database.migrate()
                database.renew_stale_views()
        refuse_unfit(found, but_for)
        yield found


@contextmanager
def fit_database(settings: Settings, code: str | None) -> Iterator[Database]:
    """The one region's database, ready to be worked with."""
    with fit_databases(chosen(settings, code)) as (database,):
        yield database
