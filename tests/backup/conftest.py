"""A small ledger and a backup of it, once for each test process."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from api.backups import artefact
from api.backups.artefact import DATA, Description
from api.settings import Settings
from tests.api.serving import environment_of, run, toml
from tests.backup.deployments import Deployment, deployed, unseen
from tests.embedded.conftest import remove

ELSEWHERE = {
    "code": "apac",
    "name": "Asia Pacific",
    "currency": "JPY",
    "zone": "Asia/Tokyo",
    "database_url": "postgresql://billing_service@127.0.0.1:1/ledger_apac",
}


class Backup(NamedTuple):
    """A backup, and what the command that took it printed."""

    path: Path
    report: dict[str, Any]
    complaints: str


class Unpacked(NamedTuple):
    """What a backup holds."""

    description: Description
    pgdata: Path


@pytest.fixture(scope="session")
def small() -> Iterator[Deployment]:
    """A stopped ledger with two regions."""
    with deployed() as deployment:
        yield deployment


@pytest.fixture(scope="session")
def backup(small: Deployment) -> Backup:
    """A backup of it, taken with settings that name a region of another server, too."""
    regions = small.folder / "three-regions.toml"
    regions.write_text((small.folder / "regions.toml").read_text() + "\n" + toml([ELSEWHERE]))
    environment = environment_of(regions, BILLING_LEDGER_DATA=str(small.data))
    done = run(environment, "backup", small.folder / "small.backup", "--json")
    assert done.code == 0, done
    return Backup(small.folder / "small.backup", done.lines[-1], done.err)


@pytest.fixture(scope="session")
def unpacked(backup: Backup, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """What the backup holds."""
    into = tmp_path_factory.mktemp("unpacked")
    description, _ = artefact.unpack(backup.path, into, lambda description: None, unseen)
    return Unpacked(description, into / DATA)


@pytest.fixture
def elsewhere(small: Deployment) -> Iterator[Settings]:
    """The same settings with a data directory that is absent."""
    data = small.folder / f"data-{uuid.uuid4().hex[:8]}"
    yield replace(small.settings, data=data)
    remove(data)
