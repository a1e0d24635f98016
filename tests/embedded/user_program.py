"""A user of the embedded server in a process of its own; obeys lines on standard input.

python user_program.py DIRECTORY [--adopt]   (--adopt: orphans, such as the server, become ours, unreaped)
"""

import ctypes
import gc
import os
import sys
from pathlib import Path

from api.embedded import CannotStart, EmbeddedServer, start

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
    print(f"done {order}", flush=True)


if __name__ == "__main__":
    main()
