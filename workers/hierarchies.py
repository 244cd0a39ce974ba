"""The control group hierarchies of this host, and where in them we are (cgroups(7))."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_MEMBERSHIP = Path("/proc/self/cgroup")
_WANTED = ("memory", "pids")
MAIN = "asyncworker-main"
"""Where the service itself is, when its group was given to it: a group with controllers for its children
may hold no process of its own (cgroups(7), "no internal processes")."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One of them, mounted."""

    unified: bool
    """Version 2; the others are of version 1."""
    controllers: frozenset[str]
    """Those of `memory` and `pids` that it has."""
    folder: Path
    """The group that groups of ours can be made in."""


def hierarchies(mounts: str | None = None, membership: str | None = None) -> list[Hierarchy]:
    """The unified one first. By default of this process; `mounts` and `membership` are the kernel's files."""
    text = _read(_MOUNTS) if mounts is None else mounts
    places = dict(_places(_read(_MEMBERSHIP) if membership is None else membership))
    found: dict[Path, Hierarchy] = {}
    for root, point, kind, options in _mounted(text):
        names = frozenset({""} if kind == "cgroup2" else {name for name in options if name in places})
        place = next((places[name] for name in sorted(names) if name in places), None)
        folder = None if place is None else _folder(root, point, place)
        if folder is not None:
            controllers = _controllers_of(folder) if kind == "cgroup2" else names & set(_WANTED)
            found.setdefault(folder, Hierarchy(kind == "cgroup2", frozenset(controllers), folder))
    useful = [each for each in found.values() if each.unified or each.controllers]
    return sorted(useful, key=lambda each: not each.unified)


def _read(path: Path) -> str:
    """As a path is read: its names are bytes, whoever gave them."""
    return os.fsdecode(path.read_bytes())


def _mounted(text: str) -> Iterator[tuple[str, Path, str, list[str]]]:
    """Root, mount point, type and options of the mounts of control groups (proc_pid_mountinfo(5))."""
    for line in text.split("\n"):  # splitlines() knows more ends than the kernel escapes
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(rest) >= 3 and rest[0] in ("cgroup", "cgroup2"):
            yield fields[3], Path(fields[4]), rest[0], rest[2].split(",")


def _places(text: str) -> Iterator[tuple[str, str]]:
    """Controller, or nothing for the unified hierarchy, and the path of our group."""
    for line in filter(None, text.split("\n")):
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path


def _folder(root: str, point: Path, place: str) -> Path | None:
    """None where our group is not below what is mounted: another container's view."""
    try:
        folder = point / Path(place).relative_to(root)
    except ValueError:
        return None
    return folder.parent if folder.name == MAIN else folder


def _controllers_of(folder: Path) -> frozenset[str]:
    try:
        there = (folder / "cgroup.controllers").read_text().split()
    except OSError:
        return frozenset()
    return frozenset(there) & set(_WANTED)
