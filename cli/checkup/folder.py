"""The state folder: whether it can be used, and who else can."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.checkup.finding import Finding, failure, ok, warning
from supervisor.removed_logs import FOLDER
from supervisor.settings import Locations

_COMPANIONS = ("", "-wal", "-shm", "-journal", "-owners", "-migrating", "-checkpointer")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder, as this user sees it."""

    path: Path
    mode: int
    owner: int
    usable: bool
    """Whether this user may read and write it, and enter it where it is a folder."""

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """None where there is none, or where it cannot be seen."""
        try:
            found = os.stat(path)
        except OSError:
            return None
        wanted = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
        return cls(path, found.st_mode, found.st_uid, os.access(path, wanted))

    @property
    def exposed(self) -> bool:
        """Whether its mode gives anything to others."""
        return bool(stat.S_IMODE(self.mode) & 0o077)


def nearest(path: Path) -> Path:
    """The path itself, or what there is of the way to it."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def judge(path: Path, entry: Entry | None, way: Entry | None) -> Iterator[Finding]:
    """`way`: what there is of the way to a folder that there is not."""
    if entry is None:
        if way is not None and stat.S_ISDIR(way.mode) and way.usable:
            yield ok("state folder", f"{path} does not exist; the first start makes it")
        else:
            where = path if way is None else way.path
            yield failure(
                "state folder",
                f"{path} does not exist and cannot be made in {where} by this user",
                "Make it for the service's user, or name another with --state-dir.",
            )
        return
    if not stat.S_ISDIR(entry.mode):
        yield failure("state folder", f"{path} is not a folder", "Name another with --state-dir.")
    elif not entry.usable:
        yield failure(
            "state folder",
            f"{path} belongs to user {entry.owner}, and this user may not write to it",
            "Run this as the service's user, or give the folder to it.",
        )
    else:
        yield ok("state folder", str(path))


def judge_inside(state: Entry | None, inside: Iterable[Entry], me: int) -> Iterator[Finding]:
    """What the service must write to in there, and cannot. `me`: this user, the service's or root."""
    if state is None or not state.usable:
        return
    owner = state.owner
    for each in inside:
        if not each.usable or (me == 0 and owner not in (0, each.owner)):
            yield failure(
                "state folder",
                f"{each.path} belongs to user {each.owner}: the service's, {owner}, may not write to it",
                f"As root: chown {owner} {each.path}",
            )


def inside(locations: Locations) -> Iterator[Entry]:
    """The folders in it, as far as they are there."""
    paths = [locations.logs, locations.working_directories, locations.logs / FOLDER]
    yield from (entry for entry in map(Entry.of, paths) if entry is not None)


def shared(locations: Locations, database: Path | None, token_file: Path | None) -> Iterator[Entry]:
    """Everything that must be its owner's alone, as far as it is there. No `database`: it is not ours."""
    state = locations.state_dir
    paths = [
        state,
        locations.logs,
        locations.working_directories,
        *sorted(state.glob("*.sock")),
        *([database.with_name(database.name + end) for end in _COMPANIONS] if database else []),
        *([token_file] if token_file else []),
    ]
    yield from (entry for entry in map(Entry.of, dict.fromkeys(paths)) if entry is not None)


def judge_modes(entries: Iterable[Entry], me: int) -> Iterator[Finding]:
    """`me`: this user. Root may look into everybody's."""
    seen = [*entries]
    warnings = [_exposed(entry) for entry in seen if entry.exposed]
    owners = sorted({entry.owner for entry in seen})
    if len(owners) > 1:
        whose = f"files belong to several users: {', '.join(map(str, owners))}"
        warnings.append(
            warning(
                "permissions",
                whose,
                "Somebody ran a command as another user: chown all to the service's user.",
            )
        )
    elif me not in (0, *owners) and seen:
        whose = f"{len(seen)} files and folders belong to user {owners[0]}, and this is user {me}"
        warnings.append(warning("permissions", whose, "Run this, and all clients, as the service's user."))
    yield from warnings
    if not warnings:
        number = f"{len(seen)} files and folders, for their owner alone"
        yield ok("permissions", number if seen else "nothing is there yet")


def _exposed(entry: Entry) -> Finding:
    mode = "700" if stat.S_ISDIR(entry.mode) else "600"
    return warning(
        "permissions",
        f"{entry.path} has mode {stat.S_IMODE(entry.mode):04o}: others on this machine can use it",
        f"chmod {mode} {entry.path}",
    )
