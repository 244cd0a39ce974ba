"""Single steps of arranging mounts: mount(2), open_tree(2), move_mount(2), mount_setattr(2), by ctypes.

The last three came with Linux 5.2 and 5.12. Their numbers are the same on every architecture. A
tree is cloned, changed while nobody sees it, and attached: no step depends on what /proc looks like.
"""

import ctypes
import os

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
_MS_REC = 0x4000
_MS_SLAVE = 0x80000

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOVE_MOUNT_T_SYMLINKS = 0x10
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_libc.syscall.restype = ctypes.c_long


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def keep_to_ourselves() -> None:
    """What is mounted here from now on is seen by nobody else; what the host unmounts goes here too."""
    _mount("none", "/", None, _MS_REC | _MS_SLAVE, None)


def mount_new(kind: str, target: str, options: str = "", flags: int = MS_NOSUID | MS_NODEV) -> None:
    """A new file system: tmpfs, proc."""
    _mount(kind, target, kind, flags, options)


def clone(path: str) -> int:
    """A descriptor of a copy of the mounts from a path on down, attached nowhere; closing drops it."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return _call(path, _OPEN_TREE, ctypes.c_int(_AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags))


def attach(tree: int, path: str) -> None:
    """Mount a clone over a path; it is closed."""
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_SYMLINKS)
    try:
        _call(path, _MOVE_MOUNT, ctypes.c_int(tree), b"", ctypes.c_int(_AT_FDCWD), os.fsencode(path), flags)
    finally:
        os.close(tree)


def make_read_only(where: str | int, *, below: bool = True) -> None:
    """A path, or a clone, with everything mounted below it."""
    _set(where, _Attributes(set=_MOUNT_ATTR_RDONLY), _AT_RECURSIVE if below else 0)


def make_writable(path: str) -> None:
    """The one mount that is seen at a path."""
    _set(path, _Attributes(clear=_MOUNT_ATTR_RDONLY), 0)


def _set(where: str | int, attributes: _Attributes, flags: int) -> None:
    fd, path = (where, "") if isinstance(where, int) else (_AT_FDCWD, where)
    _call(
        path or None,
        _MOUNT_SETATTR,
        ctypes.c_int(fd),
        os.fsencode(path),
        ctypes.c_uint(flags | (0 if path else _AT_EMPTY_PATH)),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    names = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    if _libc.mount(*names, flags, None if options is None else os.fsencode(options)) != 0:
        raise _error(target)


def _call(path: str | None, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise _error(path)
    return result


def _error(path: str | None) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
