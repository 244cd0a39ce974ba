"""Where the server listens: `api.sock` in the state folder always, TCP where asked."""

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from supervisor.addresses import Address
from supervisor.errors import AsyncWorkerError, StoreUnavailable
from supervisor.settings import API_SOCKET

BACKLOG = 256


class AddressInUse(AsyncWorkerError):
    """Somebody else listens there, or we may not."""


def listen_unix(folder: Path) -> socket.socket:
    """`api.sock`, for the owner alone from its first moment on; that of a dead server is replaced.

    Bound under another name and renamed: nobody meets one that refuses, and the newest server wins. Through
    the open folder, because a socket's path ends after 108 bytes (unix(7)).
    """
    new = f".{API_SOCKET}.{os.getpid()}"
    with ExitStack() as stack:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            _unlink(new, descriptor)
            stack.callback(_unlink, new, descriptor)  # where it could not be renamed
            before = os.umask(0o177)
            try:
                listener.bind(f"/proc/self/fd/{descriptor}/{new}")
            finally:
                os.umask(before)
            listener.listen(BACKLOG)
            os.rename(new, API_SOCKET, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        except OSError as error:
            raise StoreUnavailable(f"{folder / API_SOCKET} cannot be made: {error.strerror}") from error
    return listener


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def listen_tcp(address: Address, *, with_token: bool) -> list[socket.socket]:
    """A socket for each address that the host stands for.

    Raises as Address.places does, and AddressInUse where it cannot be had.
    """
    listeners: list[socket.socket] = []
    refused: OSError | None = None
    port = address.port
    for family, ip in address.places(with_token=with_token):
        try:
            listeners.append(_listen(family, ip, port))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                _close(listeners)
                raise AddressInUse(f"http cannot listen on {address}: {error.strerror}") from error
            refused = error  # a machine without IPv6 may well know ::1 by name
        else:
            port = port or listeners[0].getsockname()[1]
    if not listeners:
        reason = "no such address" if refused is None else refused.strerror
        raise AddressInUse(f"http cannot listen on {address}: {reason}")
    return listeners


def _listen(family: socket.AddressFamily, ip: str, port: int) -> socket.socket:
    # asyncio turns off Nagle's algorithm, 40 ms for each answer, only where the protocol is said to be TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_lost(listener)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((ip, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _notice_the_lost(listener: socket.socket) -> None:
    """Connections inherit it: who is lost while following a silent job is noticed in two minutes."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _close(listeners: Iterable[socket.socket]) -> None:
    for each in listeners:
        each.close()
