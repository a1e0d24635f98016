"""The memory that caches tables follows the machine's, or the container's."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import psycopg
import pytest

from api.embedded import EmbeddedServer, cluster

GIB = 2**30


@pytest.mark.parametrize(
    ("machine", "container", "megabytes"),
    [
        (GIB // 2, None, 128),
        (8 * GIB, None, 1_024),
        (24 * GIB, "max\n", 3_072),
        (24 * GIB, f"{4 * GIB}\n", 512),
        (256 * GIB, None, 4_096),
    ],
)
def test_an_eighth_of_the_memory_within_bounds(
    machine: int,
    container: str | None,
    megabytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of what the container may have, where that is less."""
    limit = tmp_path / "memory.max"
    if container is not None:
        limit.write_text(container)
    monkeypatch.setattr(cluster, "CONTAINER_LIMIT", limit)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=machine))
    assert f"{megabytes}MB" == cluster.buffers()


def test_a_server_is_started_so(server: EmbeddedServer) -> None:
    """With what this machine has."""
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT setting::bigint * 8 / 1024 FROM pg_settings WHERE name = 'shared_buffers'"
        ).fetchone()
    assert row is not None
    assert cluster.buffers() == f"{row[0]}MB"
