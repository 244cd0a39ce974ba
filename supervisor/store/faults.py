"""What SQLite says, as one sentence for a person: no SQL, no SQLAlchemy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from supervisor.errors import StoreDamaged, StoreLocked, StoreUnavailable


class ConstraintBroken(RuntimeError):
    """A statement broke a rule of the schema: a mistake in this program."""


class WriteInRead(RuntimeError):
    """A statement tried to write in read(): a mistake in this program."""


_DAMAGED = "the database {path} is damaged: stop the service and restore a backup"
_KINDS = {
    sqlite3.SQLITE_BUSY: StoreLocked,
    sqlite3.SQLITE_LOCKED: StoreLocked,
    sqlite3.SQLITE_PROTOCOL: StoreLocked,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
}
_SENTENCES = {
    sqlite3.SQLITE_BUSY: "the database {path} is locked by another process; try again",
    sqlite3.SQLITE_LOCKED: "the database {path} is locked by another process; try again",
    sqlite3.SQLITE_PROTOCOL: "another process does not give back a lock of the database {path}; try again",
    sqlite3.SQLITE_PERM: "the database {path} may not be used by this user",
    sqlite3.SQLITE_READONLY: "the database {path} is read-only for this user, or its disk is",
    sqlite3.SQLITE_IOERR: "reading or writing the database {path} failed: input/output error on its disk",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: "the database {path} cannot grow: its disk is full",
    sqlite3.SQLITE_CANTOPEN: "unable to open the database {path}: file or folder is missing, or not ours",
    sqlite3.SQLITE_NOMEM: "there is no memory left to use the database {path}",
}


@contextmanager
def translated(path: Path, *, reading: bool = False) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _translation(path, error.orig, reading=reading) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translation(path, error, reading=reading) from error


def _translation(path: Path, error: BaseException | None, *, reading: bool) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintBroken(str(error))
    code = getattr(error, "sqlite_errorcode", None) or 0
    # A disk that cannot be written gives one of the extended codes to a reader, query_only the bare one.
    if reading and code == sqlite3.SQLITE_READONLY:
        return WriteInRead("a transaction from read() cannot write; use write()")
    sentence = _SENTENCES.get(code & 0xFF)
    if sentence is None:
        reason = error if isinstance(error, sqlite3.Error) else type(error).__name__
        return StoreUnavailable(f"the database {path} cannot be used: {reason}")
    return _KINDS.get(code & 0xFF, StoreUnavailable)(sentence.format(path=path))


def damaged(path: Path) -> StoreDamaged:
    return StoreDamaged(_DAMAGED.format(path=path))
