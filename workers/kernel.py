"""What is asked of Linux and Python has no function for: prctl(2), capset(2), keyctl(2), fallocate(2)."""

import ctypes
import errno
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280, "armv7l": 311}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAP_SYS_ADMIN = 21
_CAPABILITY_VERSION_3 = 0x20080522
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

# Loaded at import, in the keeper: a child must not load libraries between fork and gate.
_libc = ctypes.CDLL(None, use_errno=True)
# glibc's fallocate has offsets of 32 bits where longs have; musl has no other name, and offsets of 64 bits.
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def die_with_parent(signal_number: int, parent: int) -> bool:
    """Have the kernel send us a signal when the *thread* that forked us ends (PR_SET_PDEATHSIG).

    False where the parent had died before this was armed: then no signal will ever come. It is
    cleared by a change of user and by exec of a set-uid program, and never inherited by fork.
    """
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    return os.getppid() == parent


def become_subreaper() -> None:
    """Descendants whose parent exits become our children instead of init's (PR_SET_CHILD_SUBREAPER)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_readable(*, by_our_user: bool) -> None:
    """Whether other processes of our user may trace us and read our memory and descriptors (PR_SET_DUMPABLE).

    Inherited by fork, set to true by exec. Where it is false, root owns our files in /proc. A change of
    user sets it to false.
    """
    _prctl(_PR_SET_DUMPABLE, int(by_our_user))


def gain_no_privileges() -> None:
    """From now on no program that we execute gives us rights that we do not have (PR_SET_NO_NEW_PRIVS).

    Inherited by everything, and never undone.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def may_administer() -> bool:
    """Whether we have CAP_SYS_ADMIN, without which namespaces take a user namespace around them."""
    header, data = _Header(_CAPABILITY_VERSION_3, 0), (_Data * 2)()
    _done(_libc.capget(ctypes.byref(header), data))
    return bool(data[0].effective >> _CAP_SYS_ADMIN & 1)


def leave_session_keyring() -> bool:
    """Have a new, empty one: in that of a login or a service lie tickets and passphrases (keyrings(7)).

    Inherited by fork and exec. False where our user has as many keys as it may. Where keyctl(2) is
    forbidden, as in many containers, nobody below takes a key either.
    """
    number = _KEYCTL.get(os.uname().machine)
    if number is None:
        return False
    joined = _libc.syscall(ctypes.c_long(number), ctypes.c_int(_KEYCTL_JOIN_SESSION_KEYRING), None)
    return joined != -1 or ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)


def bound_capabilities() -> None:
    """Nothing that we execute can have a capability. After a change of user nobody may set this."""
    for number in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) != 0:
            return  # EINVAL: one more than there are. EPERM: then none can be gained but by a set-uid program


def drop_capabilities() -> None:
    """Give up every capability, for good: a root without any still owns root's files, and no more."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _done(_libc.capset(ctypes.byref(header), (_Data * 2)()))


def punch_hole(file: int, start: int, length: int) -> None:
    """Give the blocks of a part of a file back; it reads as zeros, and all else keeps its place.

    Raises OSError: EOPNOTSUPP where the file system cannot.
    """
    _done(_fallocate(file, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, start, length))


def _prctl(option: int, argument: int) -> None:
    _done(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))


def _done(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
