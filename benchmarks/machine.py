"""The facts that figures depend on: the machine, the versions, what a commit means."""

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from benchmarks.places import Place
from ledger.processes import cores

LIBRARIES = (
    "billing-ledger",
    "eventsourcing",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "psycopg",
    "msgspec",
)
_CPU = Path("/proc/cpuinfo")


def facts(place: Place) -> dict[str, object]:
    """Processor, cores, memory, system, versions, and the database's settings."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "postgresql": {"embedded": place.is_embedded, **place.settings()},
    }


def load() -> float | None:
    """The load average of the last minute, where the system tells it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    if _CPU.exists():
        for line in _CPU.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
