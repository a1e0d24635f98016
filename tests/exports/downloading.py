"""Exports asked for over HTTP, without a server in between, and from the command line."""

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api.app import create_app
from api.cli import main
from api.exports.books import ExportDiffers
from api.wiring import Database, Doors
from tests.api.conftest import regions_file
from tests.api.in_process import Got, Sent, in_process

FORMS = ("beancount", "hledger", "csv", "parquet")


def download(region: Database, token: str, form: str, method: str = "GET", **query: str) -> Got:
    """The answer; a fault that breaks it off is raised."""

    async def work() -> Got | Exception:
        async with in_process(create_app(Doors((region,)))) as asked:
            path, bearer = f"/v1/finance/exports/{form}", f"Bearer {token}"
            headers = [(b"authorization", bearer.encode())]
            given = urlencode(query).encode()
            try:
                return await asked.ask(Sent(method, path.encode(), given, headers, stays=True))
            except ExportDiffers as fault:
                return fault  # once the application is down again

    got = asyncio.run(work())
    if isinstance(got, Exception):
        raise got
    return got


def downloaded(region: Database, token: str, form: str, **query: str) -> bytes:
    """The whole file."""
    got = download(region, token, form, **query)
    assert 200 == got.status, got
    return got.body


def command(
    region: Database, patch: pytest.MonkeyPatch, folder: Path, form: str, *more: str
) -> tuple[int, str]:
    """The exit code of `export` into a file of the folder `out`, and the text of the file."""
    (folder / "out").mkdir(exist_ok=True)
    patch.setenv("BILLING_LEDGER_REGIONS", str(regions_file(folder, region)))
    file = folder / "out" / "file"
    code = main(["export", form, "--region", "us", "--out", str(file), "--json", *more])
    return code, file.read_text() if file.exists() else ""
