"""The two things asked of Linux for which Python has no function: prctl(2)."""

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Loaded at import, in the keeper: a child must not load libraries between fork and gate.
_libc = ctypes.CDLL(None, use_errno=True)


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


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
