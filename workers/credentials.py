"""Who a job runs as: looked up by name, and become for good."""

import grp
import os
import pwd
import signal
from dataclasses import dataclass
from pathlib import Path

from workers import kernel
from workers.confinement import CannotConfine


@dataclass(frozen=True, slots=True)
class User:
    """Everything about a user that a process of theirs needs."""

    uid: int
    gid: int
    groups: list[int]
    surroundings: dict[str, str]
    """HOME, LOGNAME, SHELL, USER."""


def find(user: str, group: str | None) -> User:
    """By name or number; a number that nobody has needs a group with it.

    Raises CannotConfine where there is no such user or group.
    """
    gid = None if group is None else _group(group)
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError) as error:
        if gid is None or not user.isdecimal():
            raise CannotConfine(
                f"there is no user {user} on this host; check run_as in jobtypes.yaml"
            ) from error
        return User(int(user), gid, [gid], {"HOME": "/", "LOGNAME": user, "USER": user})
    surroundings = {"HOME": entry.pw_dir, "LOGNAME": entry.pw_name, "USER": entry.pw_name}
    if entry.pw_shell:
        surroundings["SHELL"] = entry.pw_shell
    gid = entry.pw_gid if gid is None else gid
    return User(entry.pw_uid, gid, os.getgrouplist(entry.pw_name, gid), surroundings)


def become(user: User, parent: int) -> None:
    """Groups first, then group, then user: after that there is no right left to change the others.

    Raises CannotConfine. The change has made us unreadable and has cleared the parent-death signal.
    `parent` is as in kernel.die_with_parent; where that is gone, this does not return.
    """
    if (os.getresuid(), os.getresgid()) == ((user.uid,) * 3, (user.gid,) * 3):
        return
    try:
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except PermissionError as error:
        raise _only_root(user) from error
    kernel.be_readable(by_our_user=True)
    if not kernel.die_with_parent(signal.SIGKILL, parent):
        os._exit(0)


def give(what: str | int, user: User) -> None:
    """Make a path, or what a descriptor stands for, theirs. Raises CannotConfine."""
    try:
        os.chown(what, user.uid, user.gid)
    except PermissionError as error:
        raise _only_root(user) from error


def can_read(user: User, path: Path) -> bool:
    """Whether this user may read a file and pass all folders above it, by their modes.

    Not tried as that user: each change of it would take our parent-death signal away.
    """
    return _has(user, path, 4) and all(_has(user, folder, 1) for folder in path.parents)


def _has(user: User, path: Path, right: int) -> bool:
    found = path.stat()
    shift = 6 if found.st_uid == user.uid else 3 if found.st_gid in (user.gid, *user.groups) else 0
    return user.uid == 0 or bool(found.st_mode >> shift & right)


def _only_root(user: User) -> CannotConfine:
    return CannotConfine(
        f"it is to run as user {user.surroundings['USER']}, and only root may change the user; "
        "run the service as root, or remove run_as"
    )


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise CannotConfine(
            f"there is no group {name} on this host; check run_as in jobtypes.yaml"
        ) from error
