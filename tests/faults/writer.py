"""A service process under test: sends a load, and notes each acknowledgement before going on.

Run as `python -m tests.faults.writer DIRECTORY DATABASE SEED JOURNAL`. Started again after a kill,
it sends everything again that its journal does not acknowledge.
"""

import os
import sys
import time
from itertools import islice
from pathlib import Path

import msgspec

from api.embedded import start
from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.faults import StoreUnavailable
from ledger.store.outcomes import Accepted, Outcome
from tests.faults.load import opening, requests

AT_ONCE = 25


class Acknowledged(msgspec.Struct):
    """What a writer was told of one of its requests: versions when accepted, else the code.

    `at` is when it had been told, in seconds since 1970.
    """

    key: str
    account_number: str
    first_version: int = 0
    last_version: int = 0
    code: str = ""
    at: float = 0.0


def read_journal(path: Path) -> dict[str, Acknowledged]:
    """The acknowledgements noted, by key; a line cut off by a kill is none."""
    noted: dict[str, Acknowledged] = {}
    for line in (path.read_bytes() if path.exists() else b"").split(b"\n")[:-1]:
        acknowledged = msgspec.json.decode(line, type=Acknowledged)
        assert noted.setdefault(acknowledged.key, acknowledged) == acknowledged
    return noted


def main(directory: str, database: str, seed: int, journal: Path) -> None:
    """Sends requests until it is killed, or told to end by SIGTERM's default."""
    server = start(Path(directory))
    noted = read_journal(journal)
    out = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.ftruncate(out, journal.read_bytes().rfind(b"\n") + 1)  # what a kill cut off
    ledger = None
    pending = opening()
    load = (r for r in requests(seed) if r.key not in noted)
    while True:
        pending = pending or list(islice(load, AT_ONCE))
        try:
            ledger = ledger or Ledger(server.service_url(database), "us")
            outcomes = ledger.handle_now(pending)
        except (StoreUnavailable, OSError, ConnectionError) as fault:
            print("unavailable:", fault, file=sys.stderr, flush=True)
            time.sleep(0.1)
            continue
        note(out, pending, outcomes)
        pending = []


def note(out: int, pending: list[Request], outcomes: list[Outcome]) -> None:
    """Writes the acknowledgements in one go."""
    lines, at = [], time.time()
    for request, outcome in zip(pending, outcomes, strict=True):
        acknowledged = Acknowledged(key=request.key, account_number=request.account_number, at=at)
        if isinstance(outcome, Accepted):
            acknowledged.last_version = outcome.version
            acknowledged.first_version = outcome.version - len(outcome.events) + 1
        else:
            acknowledged.code = outcome.refusal.code
        if request.key != "open":
            lines.append(msgspec.json.encode(acknowledged) + b"\n")
    os.write(out, b"".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
