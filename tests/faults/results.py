"""What a run of the fault harness came to: a line for people, and JSON for whoever keeps it."""

import os
import random
from pathlib import Path
from typing import Any

import msgspec

from tests import counting

DIRECTORY = "FAULT_RESULTS"
SEED = "FAULT_SEED"


def seed() -> int:
    """The seed of a run: that of FAULT_SEED, or a fresh one, which the results tell."""
    given = os.environ.get(SEED)
    return int(given) if given else random.SystemRandom().getrandbits(32)


def tell(
    name: str, run_seed: int, counts: dict[str, Any], directory: Path, facts: object = None
) -> None:
    """Writes what was counted, and more facts if any, to the directory of FAULT_RESULTS, else to the
    one given.

    The line of counts stands in the summary of the test run, also when the run passed.
    """
    named = os.environ.get(DIRECTORY)
    place = Path(named) if named else directory
    place.mkdir(parents=True, exist_ok=True)
    told = {"run": name, "seed": run_seed, "counts": counts, "facts": facts}
    path = place / f"{name}-{run_seed}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    line = f"{name} (seed {run_seed}): " + ", ".join(f"{n} {v}" for n, v in counts.items())
    print(line)
    counting.LINES.append(line)
