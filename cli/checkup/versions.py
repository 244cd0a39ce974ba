"""Whether Python, SQLite and Linux are new enough, and what is known of them."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from cli.checkup.finding import Finding, failure, ok
from supervisor.installed import installed_version

_Version = tuple[int, ...]

_PYTHON, _SQLITE, _LINUX = (3, 11), (3, 37), (5, 3)
_RESET_BUG = ((3, 7, 0), (3, 51, 3))
"""From the first to before the second: two checkpoints at a time can lose what was committed."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What this command runs with. The service in the same environment runs with the same."""

    ours: str
    python: _Version
    sqlite: _Version
    linux: _Version

    @classmethod
    def here(cls, sqlite: str) -> Self:
        return cls(installed_version(), sys.version_info[:3], _numbers(sqlite), _numbers(os.uname().release))


def judge(seen: Versions) -> Iterator[Finding]:
    python = f"Python {_text(seen.python)} ({platform.python_implementation()}), AsyncWorker {seen.ours}"
    if seen.python < _PYTHON:
        yield failure("python", f"{python} is too old", f"Use Python {_text(_PYTHON)} or newer.")
    else:
        yield ok("python", python)
    if seen.sqlite < _SQLITE:
        yield failure(
            "sqlite", f"SQLite {_text(seen.sqlite)} is too old", f"Use a Python with SQLite {_text(_SQLITE)}."
        )
    elif _RESET_BUG[0] <= seen.sqlite < _RESET_BUG[1]:
        yield ok(
            "sqlite",
            f"SQLite {_text(seen.sqlite)}; versions before {_text(_RESET_BUG[1])} can lose commits when two"
            " connections checkpoint at a time, so let no other program write to the database",
        )
    else:
        yield ok("sqlite", f"SQLite {_text(seen.sqlite)}")
    if seen.linux < _LINUX:
        yield failure("linux", f"Linux {_text(seen.linux)} is too old", f"Use {_text(_LINUX)} or newer.")
    else:
        yield ok("linux", f"Linux {_text(seen.linux)}")


def _numbers(text: str) -> _Version:
    """Of `6.18.5-arch1`, the first three."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _text(version: _Version) -> str:
    return ".".join(map(str, version))
