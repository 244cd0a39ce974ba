"""What one look came to."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """The service runs, but not as well as it could, or not for long."""
    FAILURE = "failure"
    """The service does not run, or some of its jobs cannot."""


CONFIGURATION = 2
"""Exit code of a failure that another start would meet again until somebody corrects a file."""
SERVICE = 4
"""Exit code of a failure of the database, the state folder, or a service that hangs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    check: str
    level: Level
    text: str
    advice: str | None = None
    """What to do; None where nothing is to be done."""
    exit_code: int = 0


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, advice: str) -> Finding:
    return Finding(check, Level.WARNING, text, advice)


def failure(check: str, text: str, advice: str, exit_code: int = SERVICE) -> Finding:
    return Finding(check, Level.FAILURE, text, advice, exit_code)
