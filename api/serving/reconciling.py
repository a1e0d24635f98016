"""The books of a region reconciled again and again while it is served, lane by lane, at low priority.

A process of its own does it, so that the followers are not kept waiting; whoever starts it keeps what
it finds, counts it, and raises the alarm.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import psycopg

from api import logs, metrics
from api.reconciliations import Reconciliations, raise_alarms
from api.wiring import Database
from ledger.processes import Parent, Worker, WorkerFailed, end
from ledger.store.faults import message_of
from ledger.store.lanes import LANES
from projections.reconciliation.books import ViewsReplaced
from projections.reconciliation.differences import LaneProof
from projections.reconciliation.reconciling import reconcile

BEGIN_S = 60.0
"""After a start, when everything else is warming up: the first look at what is due."""
POLL_S = 5.0
HEAR_S = 0.5
PAUSE_S = 60.0
"""Between a fault and the next try."""
NICENESS = 10
RESTS = 3.0
"""Times as long as a lane took, the process rests after it: the database's part has no niceness."""


def keep_reconciled(database: Database, every_s: int, stopping: threading.Event) -> None:
    """Reconciles each lane that was not for so long, until told to stop; what goes wrong is logged."""
    region = database.region.code
    failed = Counter[int]()
    stopping.wait(min(BEGIN_S, every_s))
    with closing(Reconciliations(database.service_url)) as kept:
        while not stopping.is_set():
            try:
                # What cannot be read of one lane keeps no other from being reconciled.
                if lanes := sorted(kept.due(every_s), key=lambda lane: failed[lane]):
                    _reconcile(database, lanes, kept, stopping, failed)
                standing = kept.standing()
                finished_at = standing.finished_at if standing.lanes == LANES else None
                metrics.reconciled(
                    region, standing.differences, finished_at.timestamp() if finished_at else 0.0
                )
                stopping.wait(POLL_S)
                continue
            except (psycopg.Error, WorkerFailed, ViewsReplaced) as fault:
                logs.event(
                    "reconciliation_interrupted",
                    level=logging.WARNING,
                    region=region,
                    error=message_of(fault),
                )
            except Exception:  # noqa: BLE001 # the edge: it must not take the followers with it
                logs.fault("reconciliation_failed", region=region)
            kept.close()
            stopping.wait(PAUSE_S)


def _reconcile(
    database: Database,
    lanes: Sequence[int],
    kept: Reconciliations,
    stopping: threading.Event,
    failed: Counter[int],
) -> None:
    """What is found of the lanes is kept; each is seen at a moment of its own, which is short.

    A lane at which it ends is counted in `failed`, until it is reconciled.
    """
    worker, left = Worker("reconciler", _work, database.service_url, lanes), [*lanes]
    try:
        while not stopping.is_set():
            if not worker.connection.poll(HEAR_S):
                continue
            match worker.said():
                case LaneProof() as proof:
                    left.remove(proof.lane)
                    del failed[proof.lane]
                    raise_alarms(database.region.code, kept.keep(proof))
                case Exception() as fault:
                    raise fault
                case None:
                    return
    except (psycopg.Error, WorkerFailed, ViewsReplaced):
        failed.update(left[:1])
        raise
    finally:
        end([worker])


def _work(parent: Parent, service_url: str, lanes: Sequence[int]) -> None:
    """What the process runs: a lane at a time, then None."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        for lane in lanes:
            began = time.monotonic()
            [proof] = reconcile(service_url, lanes=(lane,))
            parent.tell(proof)
            time.sleep(RESTS * (time.monotonic() - began))
        parent.tell(None)
    except (psycopg.Error, ViewsReplaced) as fault:
        parent.tell(fault)
