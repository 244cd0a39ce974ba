"""`python ordinary.py UID PROGRAM ARGUMENT...`: root becomes an ordinary user, who can read Python.

Python may lie in a folder of root's alone. Then that is covered, for this process, by one that leads to it.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from workers import mounts, namespaces

UID = 64999
"""Of nobody on any host, it is to be hoped."""


def closed_to_others(path: str) -> list[str]:
    """The outermost folder on the way to a path through which not everybody may pass."""
    ways = [*reversed(Path(path).parents), Path(path)]
    return [str(folder) for folder in ways if not folder.stat().st_mode & 0o001][:1]


def main() -> None:
    uid, program = int(sys.argv[1]), sys.argv[2:]
    if closed := closed_to_others(sys.base_prefix):
        here = os.getcwd()
        namespaces.leave(namespaces.MOUNTS)
        mounts.hide(closed, sys.base_prefix)
        os.chdir(here)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
