"""Read jobtypes.yaml from disk: the effectful edge of supervisor.jobtypes."""

import re
from pathlib import Path
from typing import NoReturn

from supervisor.jobtypes.parse import parse_job_types
from supervisor.jobtypes.problems import InvalidJobTypes, Problem, UnreadJobTypes
from supervisor.jobtypes.records import JobTypes

LARGEST_FILE = 2**20
"""Bytes."""


def load(path: Path) -> JobTypes:
    """The job types in this file. InvalidJobTypes (an InvalidConfiguration) when it cannot be used."""
    content = _read(path)
    if len(content) > LARGEST_FILE:
        raise InvalidJobTypes(f"{path} is larger than 1 MiB, too large for job types; name another file.")
    return parse_job_types(_decode(content, path), path.absolute(), shown_as=str(path))


def _read(path: Path) -> bytes:
    """At most one byte more than is allowed, whatever kind of file it is."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        _refuse(f"There is no file {path}; create it, or name another with --config.")
    except IsADirectoryError:
        _refuse(f"{path} is a folder; name the file in it with --config {path / 'jobtypes.yaml'}.")
    except PermissionError:
        _refuse(f"{path} may not be read by this user; change its mode, or name another file with --config.")
    except ValueError as error:  # a NUL in the path
        _refuse(f"{path} cannot be read ({error}); name another file with --config.")
    except OSError as error:
        raise UnreadJobTypes(f"{path} cannot be read ({error}); name another file with --config.") from error


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n?|\n", content[: error.start])) + 1
        problem = Problem(str(path), line, "", "is not UTF-8 text; save the file in UTF-8")
        raise InvalidJobTypes(problems=(problem,)) from error


def _refuse(message: str) -> NoReturn:
    """From an except clause: the cause is kept for debuggers."""
    raise InvalidJobTypes(message)
