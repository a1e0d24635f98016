"""The follower's process: threads that keep up each region's views, close its months, send its mail.

And one that has its books reconciled, by a process of its own.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from api import logs, metrics
from api.mail import MailServer
from api.mailing import Mailing
from api.serving.month_ends import close_months
from api.serving.reconciling import keep_reconciled
from api.wiring import Database
from projections.follower import Lag
from projections.journal import JOURNAL
from projections.model import ReadModel
from projections.read_models import READ_MODELS

STOP_S_MAX = 10.0
POLL_S = 0.5
RESTS_S = {JOURNAL.name: 0.05}
"""How long read models that nobody reads right after writing rest between batches: less of the time
is taken from the others."""


class FollowerDied(Exception):
    """A follower gave up; its process ends, so that the parent starts a fresh one."""


def follow(
    databases: tuple[Database, ...], mail: MailServer | None, url: str, reconcile_every_s: int
) -> None:
    """Follows until told to stop by SIGTERM or SIGINT; raises FollowerDied when a thread gave up.

    With a mail server, mails are sent too; `url` is where the service is reached. Every lane is
    reconciled so often; 0: never.
    """
    stopping, died = threading.Event(), threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def run(database: Database, does: str, work: Callable[[threading.Event], None]) -> None:
        try:
            work(stopping)
        except BaseException:
            logs.fault("follower_died", region=database.region.code, does=does)
            died.set()
            raise

    def follow_with(database: Database, model: ReadModel) -> Callable[[threading.Event], None]:
        def see(lag: Lag) -> None:
            metrics.views(database.region.code, model.name, **lag._asdict())

        see_if_counted = see if metrics.is_on() else None
        rest_s = RESTS_S.get(model.name, 0.0)
        return lambda until: database.follower(model).run(until, see_if_counted, rest_s)

    works = [(d, model.name, follow_with(d, model)) for d in databases for model in READ_MODELS]
    if mail is not None:
        works += [(d, "mail", Mailing(d.region, d.service_url, mail, url).run) for d in databases]
    threads = [threading.Thread(target=run, args=work, daemon=True) for work in works]
    threads += [
        threading.Thread(target=close_months, args=(database, stopping), daemon=True)
        for database in databases
    ]
    if reconcile_every_s:
        threads += [
            threading.Thread(
                target=keep_reconciled, args=(database, reconcile_every_s, stopping), daemon=True
            )
            for database in databases
        ]
    for thread in threads:
        thread.start()
    while not stopping.wait(POLL_S):
        if died.is_set():
            raise FollowerDied
    for thread in threads:
        thread.join(STOP_S_MAX)
