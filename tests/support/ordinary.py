"""`python ordinary.py MODE UID PROGRAM ARGUMENT...`: root becomes an ordinary user, who can read Python.

MODE is with-namespaces or without-namespaces: whether that user may have any.

Python may lie in a folder of root's alone. Then that is covered, for this process, by one that leads to it.
"""

import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from workers import mounts, namespaces

LIBC = ctypes.CDLL(None, use_errno=True)
UID = 64999
"""Of nobody on any host, it is to be hoped."""


def closed_to_others(path: str) -> list[str]:
    """The outermost folder on the way to a path through which not everybody may pass."""
    ways = [*reversed(Path(path).parents), Path(path)]
    return [str(folder) for folder in ways if not folder.stat().st_mode & 0o001][:1]


def forbid_namespaces() -> None:
    """Here and below: in a user namespace of ours, which has every user, none is left to be made."""
    told, tell = os.pipe()
    me = os.getpid()
    if os.fork() == 0:
        os.close(tell)
        os.read(told, 1)
        for ids in ("uid_map", "gid_map"):
            Path(f"/proc/{me}/{ids}").write_text("0 0 4294967295")
        os._exit(0)
    os.close(told)
    if LIBC.unshare(namespaces.USERS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.close(tell)
    os.wait()
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def main() -> None:
    mode, uid, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if closed := closed_to_others(sys.base_prefix):
        here = os.getcwd()
        namespaces.leave(namespaces.MOUNTS)
        mounts.hide(closed, sys.base_prefix)
        os.chdir(here)
    if mode == "without-namespaces":
        forbid_namespaces()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
