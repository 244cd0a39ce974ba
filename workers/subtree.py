"""The part of the control groups that a keeper makes groups for its children in."""

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from workers import cgroups, files
from workers.cgroups import Group
from workers.hierarchies import MAIN, Hierarchy, hierarchies

ISOLATION = "ASYNCWORKER_ISOLATION"
"""In the keeper's environment: `tree` where it is to do without control groups."""

_PREFIX = "asyncworker-"
_DEEPEST = 8


class Subtree:
    """A folder of this keeper's own in each hierarchy where one can be made."""

    def __init__(self, cookie: str, where: list[Hierarchy] | None = None) -> None:
        """`cookie`: the keeper's, UUID:NUMBER."""
        self._unified: Path | None = None
        self._with: dict[str, Path] = {}
        for hierarchy in hierarchies() if where is None else where:
            folder = _made(hierarchy, name_of(cookie))
            if folder is None:
                continue
            if hierarchy.unified:
                self._unified = folder
                usable = _enabled(hierarchy, folder)
            else:
                usable = hierarchy.controllers
            for controller in usable:
                self._with.setdefault(controller, folder)

    @property
    def isolation(self) -> str:
        return "cgroup" if self.kills else "tree"

    @cached_property
    def kills(self) -> bool:
        """Whether a whole group can be ended at once, and seen to be empty (Linux 5.14)."""
        return self._unified is not None and (self._unified / "cgroup.kill").exists()

    @property
    def limits(self) -> frozenset[str]:
        """What can be limited: `memory`, `pids`."""
        return frozenset(self._with)

    def group(self, child: int) -> Group | None:
        """A new group for this child; None where this host has none. Raises OSError."""
        if self._unified is None and not self._with:
            return None
        unified, memory, pids = (
            None if place is None else f"{place}/{child}"
            for place in (self._unified, self._with.get("memory"), self._with.get("pids"))
        )
        return cgroups.made(Group(unified, memory, pids, self.kills))

    def remove(self) -> None:
        for folder in {self._unified, *self._with.values()}:
            if folder is not None:
                _remove(folder)


def make_room(where: list[Hierarchy] | None = None) -> None:
    """Move this process aside, where its group has controllers for groups below it and nobody else is in it.

    Such a group may hold no process itself (cgroups(7), "no internal processes"). Called before others start.
    """
    for hierarchy in hierarchies() if where is None else where:
        if hierarchy.unified and hierarchy.controllers and _is_mine_alone(hierarchy.folder):
            with contextlib.suppress(OSError):  # not ours to divide: then there are no controllers for us
                aside = hierarchy.folder / MAIN
                aside.mkdir(exist_ok=True)
                (aside / "cgroup.procs").write_text(str(os.getpid()))


def name_of(cookie: str) -> str:
    """What the folder of a keeper is called. That of all keepers of an owner begins like that of its UUID."""
    return _PREFIX + cookie.replace(":", ".")


def is_of(pid: int, owner: str) -> bool:
    """Whether a process is in a group of this supervisor's, or of this keeper's; False where it is gone."""
    try:
        places = files.read(f"/proc/{pid}/cgroup")
    except OSError:
        return False
    name = name_of(owner)
    return any(part == name or part.startswith(f"{name}.") for part in places.replace("\n", "/").split("/"))


def left_of(owner: str, where: list[Hierarchy] | None = None) -> list[Path]:
    """The folders of this supervisor, or of this keeper of its, that are still there."""
    name = name_of(owner)
    return [
        folder
        for hierarchy in (hierarchies() if where is None else where)
        for folder in _listed(hierarchy.folder)
        if folder.name == name or folder.name.startswith(f"{name}.")
    ]


def owners() -> set[str]:
    """Whose groups there are, of whichever installation."""
    folders = [folder.name for hierarchy in hierarchies() for folder in _listed(hierarchy.folder)]
    return {name.removeprefix(_PREFIX).partition(".")[0] for name in folders if name.startswith(_PREFIX)}


def end(owner: str) -> None:
    """End everything that this owner left in its groups, where the kernel can, and remove what is empty."""
    for folder in left_of(owner):
        _end(folder)


def _end(folder: Path) -> None:
    with contextlib.suppress(OSError):  # version 1, or gone: whoever sweeps finds the processes one by one
        (folder / "cgroup.kill").write_text("1")
    _remove(folder)


def _is_mine_alone(folder: Path) -> bool:
    """Whether this process is in it and nobody else: the root of the host's groups, say, has many."""
    try:
        return (folder / "cgroup.procs").read_text().split() == [str(os.getpid())]
    except OSError:
        return False


def _made(hierarchy: Hierarchy, name: str) -> Path | None:
    """None where we may not: then this host has no groups for us here."""
    folder = hierarchy.folder / name
    try:
        folder.mkdir(exist_ok=True)
        # What can be made can still be out of our reach: a mount of another owner's, read-only files.
        return folder if os.access(folder / "cgroup.procs", os.W_OK) else None
    except OSError:
        return None


def _enabled(hierarchy: Hierarchy, folder: Path) -> frozenset[str]:
    """The controllers that groups below this folder get; one that is busy or forbidden, we do without."""
    enabled = set()
    for controller in sorted(hierarchy.controllers):
        try:
            for place in (hierarchy.folder, folder):
                (place / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue
        enabled.add(controller)
    return frozenset(enabled)


def _listed(folder: Path) -> Iterator[Path]:
    try:
        yield from (each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return


def _remove(folder: Path, deeper: int = _DEEPEST) -> None:
    """What is empty of it. A job may have made groups in its own, if it had the rights."""
    if deeper:
        for each in list(_listed(folder)):
            _remove(each, deeper - 1)
    try:
        folder.rmdir()
    except OSError:  # not empty yet: whoever comes later removes it
        return
