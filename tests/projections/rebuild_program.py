"""A rebuild as a process of its own, which stops for ever at a phase; it fills with workers to stop there."""

import multiprocessing
import sys
import threading

from projections import rebuild
from projections.receivables import RECEIVABLES

if __name__ == "__main__":
    owner_url, service_url, phase = sys.argv[1:]
    if phase == "filling":
        rebuild.EVENTS_OF_PROCESSES = 1

    def stop(progress: rebuild.Progress) -> None:
        if progress.phase == phase:
            workers = [process.pid for process in multiprocessing.active_children()]
            print(*workers, flush=True)
            threading.Event().wait()

    rebuild.rebuild(owner_url, service_url, RECEIVABLES, progress=stop)
