"""The follower's process: threads that keep each region's views up with the log and close its months."""

import signal
import threading
from types import FrameType

from api import logs
from api.serving.month_ends import close_months
from api.wiring import READ_MODELS, Database
from projections.model import ReadModel

STOP_S_MAX = 10.0
POLL_S = 0.5


class FollowerDied(Exception):
    """A follower gave up; its process ends, so that the parent starts a fresh one."""


def follow(databases: tuple[Database, ...]) -> None:
    """Follows until told to stop by SIGTERM or SIGINT; raises FollowerDied when a thread gave up."""
    stopping, died = threading.Event(), threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def run(database: Database, model: ReadModel) -> None:
        try:
            database.follower(model).run(stopping)
        except BaseException:
            logs.fault("follower_died", region=database.region.code, read_model=model.name)
            died.set()
            raise

    threads = [
        threading.Thread(target=run, args=(database, model), daemon=True)
        for database in databases
        for model in READ_MODELS
    ] + [
        threading.Thread(target=close_months, args=(database, stopping), daemon=True)
        for database in databases
    ]
    for thread in threads:
        thread.start()
    while not stopping.wait(POLL_S):
        if died.is_set():
            raise FollowerDied
    for thread in threads:
        thread.join(STOP_S_MAX)
