"""The disk of the state folder and the database: room, kind, and whether it can be written to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.checkup.finding import Finding, failure, ok, warning
from cli.wording import size
from supervisor.store import dbfile

_LEAST = 64 * 2**20
_COMFORTABLE = 2**30
_LEAST_FILES = 1000
_GOES_WITH_THE_HOST = ("tmpfs", "ramfs")
_GOES_WITH_THE_CONTAINER = ("overlay", "aufs")


@dataclass(frozen=True, slots=True)
class Disk:
    """What a folder lies on."""

    folder: Path
    free: int
    """Bytes for this user."""
    files_left: int | None
    """None where the file system knows no limit."""
    read_only: bool
    kind: str | None

    @classmethod
    def of(cls, folder: Path) -> Self:
        found = os.statvfs(folder)
        left = found.f_favail if found.f_files else None
        return cls(
            folder,
            found.f_bavail * found.f_frsize,
            left,
            bool(found.f_flag & os.ST_RDONLY),
            dbfile.file_system(folder),
        )


def judge(disk: Disk) -> Iterator[Finding]:
    yield _room(disk)
    yield _kind(disk)


def _room(disk: Disk) -> Finding:
    text = f"{size(disk.free)} free for {disk.folder}"
    prune = (
        "Make room: asyncworker prune with shorter times, or a larger disk. A full disk stops the service."
    )
    if disk.free < _LEAST:
        return failure("disk space", text, prune)
    if disk.files_left is not None and disk.files_left < _LEAST_FILES:
        return failure("disk space", f"room for {disk.files_left} more files in {disk.folder}", prune)
    return warning("disk space", text, prune) if disk.free < _COMFORTABLE else ok("disk space", text)


def _kind(disk: Disk) -> Finding:
    kind = disk.kind or "of a kind that is not told"
    text = f"{disk.folder} lies on {kind}"
    if disk.read_only:
        return failure("file system", f"{text}, which is read-only", "Mount it so that it can be written to.")
    if disk.kind in dbfile.REMOTE:
        return failure(
            "file system", f"{text}, a network file system", "Use a disk of this machine: --database."
        )
    if disk.kind in _GOES_WITH_THE_HOST:
        return warning("file system", f"{text}: in memory, and gone with the next boot", "Use a real disk.")
    if disk.kind in _GOES_WITH_THE_CONTAINER:
        return warning("file system", f"{text}: gone with its container", "Use a volume.")
    return ok("file system", text)
