"""Whether /proc shows a service its own processes: a host may hide them."""

import os
from collections.abc import Collection
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_STATUS = Path("/proc/self/status")
_SHOWS_ALL = ("0", "off")
_SHOWS_NO_GROUP_MORE = ("4", "ptraceable")
_CAP_SYS_PTRACE = 1 << 19
"""capabilities(7)."""


def hiding(
    mounts: str | None = None, status: str | None = None, groups: Collection[int] | None = None
) -> str | None:
    """The option of /proc that hides our own processes from us; None where they can be seen.

    With `hidepid` the kernel shows only processes that can be looked into (proc(5)), and those of the
    service cannot, by their own user (workers/guard.py). It shows all to who has CAP_SYS_PTRACE, and
    to members of the group `gid`, which is root's where none is named.
    """
    options = _options(os.fsdecode(_MOUNTS.read_bytes()) if mounts is None else mounts)
    value = options.get("hidepid", "0")
    if value in _SHOWS_ALL or _may_look_into_all(_STATUS.read_text() if status is None else status):
        return None
    ours = {os.getegid(), *os.getgroups()} if groups is None else groups
    if value not in _SHOWS_NO_GROUP_MORE and int(options.get("gid", "0")) in ours:
        return None
    return f"hidepid={value}"


def _options(mounts: str) -> dict[str, str]:
    """Of the /proc that is mounted last, and so seen (proc_pid_mountinfo(5))."""
    found: dict[str, str] = {}
    for line in mounts.split("\n"):
        before, _, after = line.partition(" - ")
        kind, _, rest = after.partition(" ")
        if kind == "proc" and before.split(" ")[4] == "/proc":
            options = rest.split(" ")[-1].split(",")
            found = {name: value for name, _, value in (option.partition("=") for option in options)}
    return found


def _may_look_into_all(status: str) -> bool:
    (effective,) = (line.split()[1] for line in status.split("\n") if line.startswith("CapEff:"))
    return bool(int(effective, 16) & _CAP_SYS_PTRACE)
