"""A writer process for tests: `python -m tests.store.writing URL SEED COMMANDS`."""

import random
import sys
from collections.abc import Sequence

import msgspec

from ledger.commands import Request
from ledger.store.committer import Ledger
from ledger.store.outcomes import Accepted
from tests.store.databases import US
from tests.store.scenario import charge, opening, requests

SHARED = [f"W-{n}" for n in range(24)]
"""Accounts that every writer opens, with the same key, and writes to at times."""
OWN = 9
BATCH = 60


def main(url: str, seed: int, commands: int) -> None:
    """Charges accounts in batches; prints how many commands it was the one to do."""
    rng = random.Random(seed)
    ledger = Ledger(url, US.code)
    own = [f"W-{seed}-{n}" for n in range(OWN)]
    done = accepted(ledger, [requests(name, [opening()])[0] for name in SHARED + own])
    for start in range(0, commands, BATCH):
        batch = []
        for n in range(start, min(start + BATCH, commands)):
            name = rng.choice(SHARED if rng.random() < 0.1 else own)
            (request,) = requests(name, [charge(f"{seed}.{n}")])
            batch.append(msgspec.structs.replace(request, key=f"{seed}.{n}"))
        done += accepted(ledger, batch)
    ledger.close()
    print(done)


def accepted(ledger: Ledger, batch: Sequence[Request]) -> int:
    """How many of the requests were done now, none of them refused."""
    outcomes = [o for o in ledger.handle_now(batch) if isinstance(o, Accepted)]
    assert len(outcomes) == len(batch), "refused"
    return sum(not outcome.replayed for outcome in outcomes)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
