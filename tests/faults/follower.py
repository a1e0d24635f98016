"""A follower process under test. Run as `python -m tests.faults.follower DIRECTORY DATABASE`."""

import sys
import threading
from pathlib import Path

from api.embedded import start
from projections.follower import Follower
from projections.receivables import RECEIVABLES


def main(directory: str, database: str) -> None:
    """Follows until it is killed."""
    server = start(Path(directory))
    Follower(server.service_url(database), RECEIVABLES).run(threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
