"""A filter on what namespaces and Landlock leave open: sockets, limits of others (seccomp(2))."""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

from workers.confinement import CannotConfine

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in struct seccomp_data; of an argument the low half, on little-endian machines."""
_TYPE = 0xF
"""Of the second argument of socket(2): the rest are flags."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class _Calls:
    arch: int
    """AUDIT_ARCH_*: another one on the same machine has other numbers, and is refused whole."""
    socket: int
    socketpair: int
    pid_first: tuple[int, ...]
    """Calls whose first argument is a process, 0 for the caller: prlimit64, sched_setparam,
    sched_setscheduler, sched_setattr. For Linux it is enough that both have the same user."""
    pid_second: tuple[int, ...]
    """Likewise the second argument: setpriority, ioprio_set."""


_ELSEWHERE = ((261, 118, 119, 274), (140, 30))
_KNOWN = {
    "x86_64": _Calls(0xC000003E, 41, 53, (302, 142, 144, 314), (141, 251)),
    "aarch64": _Calls(0xC00000B7, 198, 199, *_ELSEWHERE),
    "riscv64": _Calls(0xC00000F3, 198, 199, *_ELSEWHERE),
}
_IO_URING_SETUP = 425
_X32 = 0x40000000


def allow_sockets(families: Collection[int], *, alone: bool = True) -> None:
    """From now on only sockets of these address families can be made, here and in everything below.

    `alone`: whether no process but the job's own can be reached. Else socketpair(2) makes no datagram
    sockets, which can connect elsewhere later, and limits and priorities can be set of the caller only:
    without processor time, for one, the kernel kills a process.
    io_uring is refused: it makes sockets past this filter. Needs no_new_privileges, or root.
    Raises CannotConfine.
    """
    calls = _KNOWN.get(os.uname().machine)
    if calls is None:
        raise CannotConfine(f"sockets cannot be refused on a machine of this kind ({os.uname().machine})")
    program = _program(calls, families, alone=alone)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) != 0:
        raise CannotConfine(f"sockets cannot be refused: {os.strerror(ctypes.get_errno())}")


def _program(calls: _Calls, families: Collection[int], *, alone: bool) -> bytes:
    """Blocks of instructions, each of which ends in a verdict or falls through to the next."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, *([socket.SOCK_DGRAM] if alone else []))
    of_the_caller = [
        _if_equal(number, _one_of((0,), _step(_LOAD, argument)))
        for argument, numbers in ((_FIRST, calls.pid_first), (_SECOND, calls.pid_second))
        for number in numbers
    ]
    blocks = [
        _step(_LOAD, _ARCH) + _unless_equal(calls.arch, _step(_RETURN, _REFUSE)),
        _step(_LOAD, _NUMBER) + _step(_AND, _X32) + _unless_equal(0, _step(_RETURN, _REFUSE)),
        _step(_LOAD, _NUMBER),
        _if_equal(_IO_URING_SETUP, _step(_RETURN, _REFUSE)),
        _if_equal(calls.socket, _one_of(families, _step(_LOAD, _FIRST))),
        _if_equal(calls.socketpair, _one_of(kinds, _step(_LOAD, _SECOND) + _step(_AND, _TYPE))),
        *([] if alone else of_the_caller),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(blocks)


def _one_of(values: Collection[int], load: bytes) -> bytes:
    allowed = b"".join(_if_equal(value, _step(_RETURN, _ALLOW)) for value in values)
    return load + allowed + _step(_RETURN, _REFUSE)


def _if_equal(value: int, then: bytes) -> bytes:
    return _step(_EQUAL, value, otherwise=len(then) // 8) + then


def _unless_equal(value: int, then: bytes) -> bytes:
    return _step(_EQUAL, value, equal=len(then) // 8) + then


def _step(code: int, operand: int, equal: int = 0, otherwise: int = 0) -> bytes:
    """Struct sock_filter: eight bytes."""
    return struct.pack("HBBI", code, equal, otherwise, operand)
