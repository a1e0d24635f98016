"""What is to be sent to a caller who may not be reading yet: a little in memory, the rest on disk."""

import asyncio
import tempfile

MEMORY_BYTES_MAX = 1024 * 1024
READ_BYTES = 64 * 1024


class Spool:
    """Bytes written at one end and read at the other; used by one event loop."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115 # see close
        self._written = self._read = 0
        self._ended = False
        self._fault: BaseException | None = None
        self._changed = asyncio.Event()

    def write(self, more: bytes) -> None:
        """Takes bytes to be read later."""
        self._file.seek(self._written)
        self._file.write(more)
        self._written += len(more)
        self._changed.set()

    def end(self, fault: BaseException | None = None) -> None:
        """Nothing more comes; a fault is raised to the reader once it has read everything."""
        self._ended, self._fault = True, fault
        self._changed.set()

    async def read(self) -> bytes:
        """The next bytes, as soon as there are any; none at the end."""
        while self._read == self._written:
            if self._ended:
                if self._fault is not None:
                    raise self._fault
                return b""
            self._changed.clear()
            await self._changed.wait()
        self._file.seek(self._read)
        found = self._file.read(READ_BYTES)
        self._read += len(found)
        if self._read == self._written:
            self._file.seek(0)
            self._file.truncate()
            self._read = self._written = 0
        return found

    def close(self) -> None:
        """Nothing is kept."""
        self._file.close()
