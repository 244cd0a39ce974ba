"""Whether a server uses the files that we mean: it tells device and inode of its own, never a path."""

import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.settings import Locations

HEADER = "AsyncWorker-Files"
"""Of the answer to GET /healthz on the socket: `database=DEVICE:INODE config=DEVICE:INODE`."""

_UNKNOWN = "unknown"
_URL = "sqlite:///"


def files(locations: Locations) -> str:
    """What a server with these locations says in HEADER."""
    return f"database={_mark(_database(locations))} config={_mark(locations.config)}"


def is_served(locations: Locations, headers: Mapping[str, str]) -> bool:
    """Whether whoever sent these headers uses our database; and, where we name one, our job types."""
    told = next((text for name, text in headers.items() if name.lower() == HEADER.lower()), "")
    theirs = dict(part.split("=", 1) for part in told.split() if "=" in part)
    if not theirs:  # a server that does not tell: only what nobody named can be taken for granted
        return locations.database == str(locations.state_dir / "jobs.db") and not _is_named(locations.config)
    if _mark(_database(locations)) not in {theirs.get("database")} - {_UNKNOWN}:
        return False
    return not _is_named(locations.config) or _mark(locations.config) in {theirs.get("config")} - {_UNKNOWN}


def _is_named(config: Path) -> bool:
    """Whether it is another than the one in the current folder, which nobody has to name."""
    return config != Path("jobtypes.yaml").absolute()


def _database(locations: Locations) -> Path:
    return Path(locations.database.removeprefix(_URL))


def _mark(path: Path) -> str:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return _UNKNOWN
    return f"{found.st_dev:x}:{found.st_ino:x}"
