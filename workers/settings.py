"""What a process passes on to those that it forks, and what of it an import may change unasked."""

import os
import resource
import sys

_LIMITS = {
    number: name
    for name, number in sorted(vars(resource).items(), reverse=True)
    if name.startswith("RLIMIT_") and isinstance(number, int)
}
"""One name for each, where the platform has two."""


def of_this_process() -> dict[str, object]:
    """By what it is called in a sentence. Opens no file: there may be none left to open."""
    return {
        **{name: _limit(number) for number, name in _LIMITS.items()},
        "its priority (nice)": os.getpriority(os.PRIO_PROCESS, 0),
        "its scheduling policy": os.sched_getscheduler(0),
        "the processors that it may use": os.sched_getaffinity(0),
        "its umask": _umask(),
        "its user": os.getresuid(),
        "its groups": (os.getresgid(), os.getgroups()),
        "Python's recursion limit": sys.getrecursionlimit(),
    }


def _limit(number: int) -> tuple[int, int] | None:
    """None where this kernel does not know it."""
    try:
        return resource.getrlimit(number)
    except (OSError, ValueError):
        return None


def _umask() -> int:
    """To read it is to set it (umask(2))."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
