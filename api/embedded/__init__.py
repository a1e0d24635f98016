"""The PostgreSQL that comes along: started in a data directory, shared by processes, stopped by the last."""

from api.embedded.binaries import CannotStart
from api.embedded.server import EmbeddedServer, start

__all__ = ["CannotStart", "EmbeddedServer", "start"]
