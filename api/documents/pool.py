"""A few processes that typeset for one that serves, which goes on meanwhile and survives what they do not.

A process has a memory of its own: typst keeps what its last ten documents took, so one that has grown
large ends. It can be stopped when it takes too long, and gives way to whatever else wants the machine.
"""

import asyncio
import os
import queue
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from api import logs
from ledger.processes import Parent, Worker, WorkerFailed, end

TYPESETTERS = 2
WAITING_MAX = 32
"""Documents that may wait for a process; about a second's worth."""
OF_ONE_MAX = 8
"""Documents that one who asks may have waiting or under way: enough to keep every process busy."""
LARGE_OF_ONE_MAX = 2
"""Of these large ones, which all wait for one another: some seconds' worth."""
LARGE_BYTES = 250_000
"""Content of about 1,000 lines: documents above this are made one at a time."""
KEPT_BYTES_MAX = 300 * 2**20
"""Of memory that a process may come to for the next document; it begins with some 60 MiB."""
TIME_S_MAX = 30.0
"""For one document; the largest takes a tenth of it on an idle machine."""
MEMORY_BYTES_MAX = 3 * 2**30
"""Address space of a process: the largest document needs a third of it."""
NICENESS = 5
ATTEMPTS_MAX = 2
"""A process that waited may have been killed meanwhile; a fresh one has not."""


class TypesettersBusy(Exception):
    """More documents wait than are let wait, of all or of one who asks; ask again in a moment."""


class TookTooMuch(Exception):
    """A document took longer or more memory than it may; its process was stopped."""


class NotTypeset(Exception):
    """A document cannot be made; the message says why. A fault of this program, not of who asks."""


class _Told(NamedTuple):
    """What a process tells of one document: its bytes, or why there are none; and of its memory."""

    pdf: bytes | None
    resident_bytes: int
    says: str = ""


class Typesetters:
    """Processes that make documents, started when first needed, with a bounded queue before them.

    `fonts` is a folder of fonts for scripts that those of the typesetter do not have.
    """

    def __init__(self, fonts: Path | None = None) -> None:
        self._fonts = fonts
        self._threads = ThreadPoolExecutor(TYPESETTERS, thread_name_prefix="typesetter")
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._one_large = asyncio.Lock()
        self._inside = Counter[tuple[UUID, bool]]()

    async def pdf(self, content: bytes, principal: UUID) -> bytes:
        """The document with this content, a Document as JSON, for somebody who asks.

        Raises TypesettersBusy at once when too many wait, or too many of theirs; TookTooMuch and
        NotTypeset.
        """
        is_large = len(content) > LARGE_BYTES
        self._refuse_if_busy(principal, is_large=is_large)
        self._inside[principal, is_large] += 1
        try:
            if not is_large:
                return await self._made(content)
            async with self._one_large:
                return await self._made(content)
        finally:
            self._inside[principal, is_large] -= 1
            self._inside += Counter()  # who has nothing here is not kept

    def _refuse_if_busy(self, principal: UUID, *, is_large: bool) -> None:
        large = self._inside[principal, True]
        if self._inside.total() >= TYPESETTERS + WAITING_MAX:
            raise TypesettersBusy("too many documents at once")
        if large + self._inside[principal, False] >= OF_ONE_MAX:
            raise TypesettersBusy(f"you have {OF_ONE_MAX} documents under way already")
        if is_large and large >= LARGE_OF_ONE_MAX:
            raise TypesettersBusy(f"you have {large} large documents under way already")

    def close(self) -> None:
        """No process is left; what is being made is made first."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        end(self._idle.get_nowait() for _ in range(self._idle.qsize()))

    async def _made(self, content: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._typeset, content)

    def _typeset(self, content: bytes) -> bytes:
        """In a thread: hands the content to a process and waits."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            worker = self._worker()
            try:
                told = _told_by(worker, content)
            except WorkerFailed as fault:
                end([worker])
                logs.event("typesetter_died", says=str(fault))
                if attempt == ATTEMPTS_MAX:
                    raise TookTooMuch from None
                continue
            except TookTooMuch:
                end([worker])
                logs.event("typesetter_stopped", after_s=TIME_S_MAX)
                raise
            if told.resident_bytes > KEPT_BYTES_MAX:
                end([worker])
            else:
                self._idle.put_nowait(worker)
            if told.pdf is None:
                raise NotTypeset(told.says)
            return told.pdf
        raise AssertionError("unreachable")

    def _worker(self) -> Worker:
        """A process that nobody else uses meanwhile."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return Worker("typesetter", _work, self._fonts)


def _told_by(worker: Worker, content: bytes) -> _Told:
    """What the process says of a document; raises WorkerFailed, and TookTooMuch past its time."""
    worker.tell(content)
    if not worker.connection.poll(TIME_S_MAX):
        raise TookTooMuch
    told = worker.said()
    assert isinstance(told, _Told), told
    return told


def _work(parent: Parent, fonts: Path | None) -> None:
    """What a typesetter's process runs."""
    _give_way()
    # Not at the top: whoever serves has no need of them.
    import msgspec
    import psutil
    import typst

    from api.documents.content import Document
    from api.documents.typesetting import Typesetter

    this = psutil.Process()
    typesetter = Typesetter(fonts)
    decode = msgspec.json.Decoder(Document).decode
    while True:
        content = parent.hear()
        try:
            pdf, says = typesetter.pdf(decode(content)), ""
        except typst.TypstError as fault:
            pdf, says = None, fault.diagnostic
        parent.tell(_Told(pdf, this.memory_info().rss, says))


def _give_way() -> None:
    """This process has one core, less of it than others want, and bounded memory, where it can be so."""
    os.environ["RAYON_NUM_THREADS"] = "1"  # read by the typesetter when it begins
    if sys.platform == "linux":
        import resource

        os.nice(NICENESS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
