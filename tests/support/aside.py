"""A supervisor without its http server, which takes a second to start and delays what is not about HTTP."""

from pathlib import Path
from types import SimpleNamespace

from supervisor import front

_IN_ITS_PLACE = """#!/bin/sh
# Ready at once, and gone with its parent: -P -m supervisor.api --parent-fd 5 --ready-fd 7
echo > /proc/self/fd/$7
exec cat /proc/self/fd/$5
"""


def program(folder: Path) -> Path:
    """What is to be started in its place."""
    path = folder / "aside"
    path.write_text(_IN_ITS_PLACE)
    path.chmod(0o700)
    return path


def leave_aside(instead: str) -> None:
    """From now on this process starts the other program."""
    setattr(front, "sys", SimpleNamespace(executable=instead))  # noqa: B010  (mypy would want a module)
