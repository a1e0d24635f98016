"""The supervisor's process: `python -m api.embedded DIRECTORY INSTALL`, started by supervisor.py."""

import sys
from pathlib import Path

from api.embedded.supervisor import supervise

supervise(Path(sys.argv[1]), Path(sys.argv[2]))
