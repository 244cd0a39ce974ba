"""A backup: written beside its name, and given it only when it is whole, verified and on disk."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from supervisor.answers import Backup
from supervisor.errors import BackupFailed, BackupRefused, StoreUnavailable
from supervisor.store import copying, dbfile, locks

_COMPANIONS = ("-wal", "-shm", "-journal")


def back_up(database: str, file: Path, *, replace: bool, told: Callable[[int, int], None]) -> Backup:
    """Copy the database into this file. What was there before stays until the new one is whole.

    Raises BackupRefused, BackupFailed, StoreUnavailable. Whatever is raised, nothing is left behind.
    """
    source = dbfile.path_of(database)
    target = Path(os.path.realpath(file))
    _refuse(source, target, replace=replace)
    with _partial(target) as (partial, descriptor):
        _make_sure_of_room(source, target)
        census = copying.copy(source, partial, descriptor, told)
        _refuse(source, target, replace=replace)
        _name(partial, target)
        size = os.fstat(descriptor).st_size
    rows = census.rows
    return Backup(target, size, census.schema, census.jobs, rows["attempts"], rows["supervisors"])


def _refuse(source: Path, target: Path, *, replace: bool) -> None:
    """Raises BackupRefused for a name that no backup can have, or that has one already."""
    if not target.parent.is_dir():
        raise BackupRefused(f"there is no folder {target.parent}; make it, or name another")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise BackupRefused(f"nothing can be written in the folder {target.parent} by this user")
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise BackupRefused(f"{target} cannot be a backup: {error.strerror}") from error
    if target in _used(source) or (
        mode is not None and dbfile.identity_of(target) == dbfile.identity_of(source)
    ):
        raise BackupRefused(f"{target} is the database itself; name another file")
    if mode is not None and stat.S_ISDIR(mode):
        raise BackupRefused(f"{target} is a folder; name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        raise BackupRefused(f"{target} is not a file; a backup is verified before it gets its name")
    if mode is not None and not replace:
        raise BackupRefused(f"{target} exists; name another file, or replace it with --force")


def _used(source: Path) -> list[Path]:
    return [source, *(locks.beside(source, end) for end in _COMPANIONS)]


@contextmanager
def _partial(target: Path) -> Iterator[tuple[Path, int]]:
    """An empty file beside the target, for its owner alone, that is gone afterwards unless it was renamed.

    Locked, so that one that was left by a kill is told from one that is being written, and used again.
    """
    path = target.with_name(f".{target.name}.partial")
    try:
        descriptor = locks.try_hold(path)
    except StoreUnavailable as error:
        raise BackupFailed(f"{target} cannot be written: {error}") from error
    if descriptor is None:
        raise BackupRefused(f"another backup is writing {target} now; wait for it, or name another file")
    try:
        # Between the opening and the lock, another backup may have given the file its name.
        if dbfile.identity_of(path) != dbfile.identity_of(descriptor):
            raise BackupRefused(f"another backup has just written {target}")
        os.ftruncate(descriptor, 0)
        os.fchmod(descriptor, 0o600)
        yield path, descriptor
    finally:
        if dbfile.identity_of(path) == dbfile.identity_of(descriptor):
            path.unlink()
        os.close(descriptor)


def _make_sure_of_room(source: Path, target: Path) -> None:
    """Before anything is written: a disk that a backup has filled stops the service, where it is the same."""
    needed = sum(path.stat().st_size for path in _used(source)[:2] if path.exists())
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise BackupFailed(
            f"the disk of {target.parent} has no room for the backup: it may take {_mega(needed)},"
            f" and {_mega(free)} are free"
        )


def _name(partial: Path, target: Path) -> None:
    try:
        os.rename(partial, target)
        with suppress(OSError):  # a network file system may have no way to sync a folder
            dbfile.sync_folder(target.parent)
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror}") from error


def _mega(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
