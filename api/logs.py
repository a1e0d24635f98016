"""Structured logs: one JSON line an event on standard error, with correlation ids, without secrets."""

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = "billing-ledger"
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line: time, level, event, and the fields given with it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _OF_EVERY_RECORD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(level: int = logging.INFO) -> None:
    """Everything this process logs goes to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level)


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Logs an event with its fields; never a password, token, or an amount beside a name."""
    logging.getLogger(LOGGER).log(level, name, extra=fields)


def fault(name: str, **fields: object) -> None:
    """Logs the exception being handled, with its traceback."""
    logging.getLogger(LOGGER).error(name, exc_info=True, extra=fields)
