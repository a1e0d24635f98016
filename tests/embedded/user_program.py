"""A user of the embedded server in a process of its own; obeys lines on standard input.

python user_program.py DIRECTORY [--adopt]   (--adopt: orphans, such as the server, become ours, unreaped)
"""

import ctypes
import gc
import os
import sys
from pathlib import Path

import psycopg

from api.embedded import CannotStart, EmbeddedServer, start
from api.embedded.aside import made_aside, settle
from api.embedded.binaries import find_install
from api.embedded.cluster import Cluster
from api.embedded.copying import copying, verify

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    directory = Path(sys.argv[1])
    if "--adopt" in sys.argv:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        server = start(directory)
    except CannotStart as refusal:
        print(f"refused {refusal}", flush=True)
        return
    print(f"ready {server.owner_url('postgres')}", flush=True)
    for line in sys.stdin:
        obey(line.strip(), server, directory)


def obey(order: str, server: EmbeddedServer, directory: Path) -> None:
    if order == "leave":
        server.close()
    elif order == "leave in a forked child":
        if (child := os.fork()) == 0:
            server.close()
            sys.exit(0)  # runs what atexit holds
        os.waitpid(child, 0)
    elif order == "enter twice, leave once":
        start(directory).close()
    elif order == "come again, and collect garbage":
        start(directory)
        gc.collect()
    elif order == "copy":
        copy(server, directory.with_name("copy"))
    print(f"done {order}", flush=True)


def copy(server: EmbeddedServer, to: Path) -> None:
    """A copy of the server is another directory's, and its owner is let in."""
    install = find_install(None)
    with made_aside(to, install) as aside:
        into, log = aside / "pgdata", aside / "log"
        with copying(install, server.admin_url(), into, name="copy", log=log) as process:
            process.wait()
        verify(install, into)
        Cluster(aside, install).recover_copy()
        settle(aside)
    with start(to) as copied:
        psycopg.connect(copied.owner_url("postgres")).close()


if __name__ == "__main__":
    main()
