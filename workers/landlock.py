"""What a process may do with files, processes outside, and TCP, as it can renounce by itself: landlock(7).

Rights are given for whole trees only, so "everything but the state folder" becomes a right for each
sibling of each folder on the way there. Names can be listed everywhere.
"""

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from workers.confinement import CannotConfine, Confinement

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
ENOUGH = 6
"""The version (Linux 6.12) from which on signals and abstract sockets can be renounced."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_ON_FILES = (1 << 16) - 1
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE
_FOR_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_ALL_ON_TCP = 3
_ALL_SCOPES = 3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scopes")]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """What this kernel offers; 0: nothing, or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def renounce(what: Confinement, directory: str) -> None:
    """For good, and for everything below. Needs no_new_privileges.

    Raises CannotConfine.
    """
    for path in [*what.writable, *_listed(what)]:
        if not os.path.exists(path):
            raise CannotConfine(f"the sandbox cannot be had: there is no {path}")
    rules = _Ruleset(_ALL_ON_FILES, 0 if what.network else _ALL_ON_TCP, _ALL_SCOPES)
    ruleset = _call(_CREATE, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    try:
        _allow(ruleset, "/", _READ_DIR)
        for path in _everything_but(what.hidden):
            _allow(ruleset, path, _READ | _READ_DIR)
        for path in _writable(what):
            _allow(ruleset, path, _ALL_ON_FILES)
        for path in ("/dev", "/proc/self/fd/1"):
            _allow(ruleset, path, _FOR_A_FILE)
        _allow(ruleset, directory, _ALL_ON_FILES)
        _call(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _listed(what: Confinement) -> list[str]:
    return what.read_only if isinstance(what.read_only, list) else []


def _writable(what: Confinement) -> Iterator[str]:
    """Without what is hidden, whichever way a path leads there."""
    hidden = [*map(os.path.realpath, what.hidden)]
    if what.read_only is not True:
        yield from _everything_but([*hidden, *_listed(what)])
    for path in map(os.path.realpath, [*what.writable, "/dev/shm"]):  # noqa: S108
        if any(Path(path).is_relative_to(each) for each in hidden):
            continue
        yield from _everything_but([each for each in hidden if Path(each).is_relative_to(path)], path)


def _everything_but(hidden: Sequence[str], top: str = "/") -> Iterator[str]:
    """Trees that together are all below `top` and hold nothing of what is hidden."""
    here = [path for path in map(os.path.realpath, hidden) if Path(path).is_relative_to(top)]
    if not here:
        yield top
    elif top not in here:
        try:
            names = os.listdir(top)
        except OSError:  # what cannot be listed cannot be given
            return
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                yield from _everything_but(here, path)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """What is gone by now, or not ours to open, gets no right."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = os.path.isdir(f"/proc/self/fd/{fd}")
        rule = _Beneath(rights if is_folder else rights & _FOR_A_FILE, fd)
        arguments = ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0)
        _call(_ADD, *arguments)
    finally:
        os.close(fd)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        why = "Linux is too old" if code == errno.ENOSYS else os.strerror(code)
        raise CannotConfine(f"the sandbox cannot be had on this host: Landlock refuses: {why}")
    return result
