"""The database file before SQLite sees it: named, created, recognised. What is there stays as it is."""

import errno
import os
import stat
from enum import Enum
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from supervisor.errors import NotOurDatabase, StoreUnavailable
from supervisor.store.locks import beside
from supervisor.store.schema import APPLICATION_ID

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 108
_WAL = b"\2\2"
_EMPTY_LEAF = b"\x0d\0\0\0\0"
"""The first page of a database without tables: a leaf, no free block, no cells."""

_MOUNTS = Path("/proc/self/mountinfo")
REMOTE = frozenset(
    "nfs nfs4 cifs smb3 smbfs ncpfs afs ceph lustre gpfs beegfs fuse.sshfs fuse.glusterfs fuse.ceph fuse.s3fs"
    " fuse.rclone".split()
)


class Look(Enum):
    """What a file turned out to be."""

    FRESH = "nothing in it yet"
    SETTLED = "ours, with a write-ahead log"
    UNSETTLED = "ours, and somebody was interrupted or changed its journal mode"


def path_of(url: str) -> Path:
    """A path, or an SQLAlchemy URL of SQLite, as the absolute path of the file itself."""
    name: str | None = url
    if "://" in url:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError) as error:
            raise StoreUnavailable("the database is given as a path or as sqlite:///path") from error
        if parsed.get_backend_name() != "sqlite":
            raise StoreUnavailable(f"only SQLite databases are supported, not {parsed.get_backend_name()}")
        if parsed.query:
            raise StoreUnavailable("the database URL takes no options; give a path where the name has a '?'")
        name = parsed.database
    if not name or name == ":memory:" or "\0" in name:
        raise StoreUnavailable("the database must be a file: a path, or sqlite:///path")
    return Path(os.path.realpath(name))


def pin(path: Path) -> int:
    """A descriptor that keeps the file's inode number from being given to another file.

    Unlike any other descriptor, one of O_PATH takes no POSIX locks with it when it is closed.
    """
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise StoreUnavailable(f"unable to open the database {path}: {error.strerror}") from error


def identity_of(file: Path | int) -> tuple[int, int] | None:
    """Device and inode; None where nothing is there or it cannot be seen."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make(path: Path, *, create: bool) -> None:
    """See to it that there is a file, its owner's alone, in a folder of this machine."""
    if not path.parent.is_dir():
        raise StoreUnavailable(f"the folder of the database {path} does not exist")
    _refuse_remote(path)
    if not create:
        if not os.path.lexists(path):
            raise StoreUnavailable(f"the database {path} does not exist")
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"unable to create the database {path}: {error.strerror}") from error


def sync_names(path: Path) -> None:
    """Put the file's name on disk, and those of the folders that lead to it: any of them may be new.

    For whoever is about to write the schema, under the lock that everybody waits for: nothing can be
    committed, and so nothing acknowledged, in a file that a power failure would take away as a whole.
    """
    for folder in path.parents:
        try:
            sync_folder(folder)
        except OSError as error:
            # A folder that we may not read, or whose disk takes no such thing, is none that we have made.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EINVAL, errno.EROFS):
                raise StoreUnavailable(f"unable to sync the folder {folder}: {error.strerror}") from error


def look(path: Path) -> Look:
    """Read the header without SQLite, which would roll back or checkpoint a database of somebody else.

    Closing the file drops every POSIX lock that this process has on it, so it must not be open here.
    """
    header = _header(path)
    if not header:
        return Look.FRESH
    if not header.startswith(_MAGIC):
        # A first migration cut off by a power failure: its journal will empty the file again.
        if not header.strip(b"\0") and beside(path, "-journal").exists():
            return Look.UNSETTLED
        raise NotOurDatabase(f"{path} is not a database of SQLite; it was left as it is")
    owner = int.from_bytes(header[68:72], "big")
    if owner == APPLICATION_ID:
        return Look.SETTLED if header[18:20] == _WAL else Look.UNSETTLED
    if owner == 0 and header[100:105] == _EMPTY_LEAF and not _has_log(path):
        return Look.FRESH
    raise NotOurDatabase(f"{path} is another program's database; it was left as it is")


def _header(path: Path) -> bytes:
    try:
        # Looked at first: opening a named pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise NotOurDatabase(f"{path} is not a database: not even a file")
        with open(path, "rb", buffering=0) as file:
            return file.read(_HEADER_BYTES)
    except OSError as error:
        raise StoreUnavailable(f"unable to open the database {path}: {error.strerror}") from error


def _has_log(path: Path) -> bool:
    try:
        return beside(path, "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _refuse_remote(path: Path) -> None:
    """SQLite's write-ahead log lives in shared memory, which no network file system shares between hosts."""
    kind = file_system(path.parent)
    if kind in REMOTE:
        raise StoreUnavailable(
            f"the database {path} lies on a network file system ({kind}); it needs a disk of this machine"
        )


def file_system(folder: Path) -> str | None:
    """The type of the file system that it lies on, as the kernel calls it; None where that is not told."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        fields, _, after = line.partition(" - ")
        if fields.split()[2:3] == [wanted]:
            return after.split()[0]
    return None


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
