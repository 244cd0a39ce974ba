"""What ends the supervisor's wait: signals, nudges, and the keeper."""

import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

_WITHOUT_POLL = 0.1


class Readable(Protocol):
    """What can be waited for."""

    def fileno(self) -> int: ...


class Signals:
    """Signals are only noted here; the loop decides. A handler does nothing but count."""

    def __init__(self) -> None:
        self.arrived = 0
        """How many requests to stop have come so far."""
        self.hung_up = False
        """A SIGHUP has come, and nobody has acted on it."""
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        signal.signal(signal.SIGHUP, self._note_hangup)

    def fileno(self) -> int:
        return self._reader

    def drain(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except OSError:  # nothing is left; or it cannot be read: the handlers have counted all the same
            return

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.arrived += 1

    def _note_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self.hung_up = True


class WakeSocket:
    """`wake.sock`: a datagram means that something in the database has changed."""

    def __init__(self, folder: Path) -> None:
        """Bind it. Raises OSError where that cannot be done.

        A second supervisor on one state folder takes a name beside the first one's.
        """
        self._place = folder
        self._open()

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> bool:
        """True where anybody nudged."""
        nudged = False
        try:
            while True:
                self._socket.recv(64)
                nudged = True
        except BlockingIOError:
            return nudged
        except OSError:  # whether anybody nudged is not known
            return True

    def renew(self) -> None:
        """Bind another one where somebody has removed its name. Where that fails, nothing has changed."""
        before = self._folder, self._socket
        with suppress(OSError):
            if self._is_there():
                return
            self._open()
            os.close(before[0])
            before[1].close()

    def close(self) -> None:
        with suppress(OSError):
            if self._is_there():
                self._path.unlink(missing_ok=True)
        self._socket.close()
        os.close(self._folder)

    def _open(self) -> None:
        """Raises OSError, and changes nothing then."""
        with ExitStack() as undo:
            folder = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, folder)
            one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            undo.callback(one.close)
            path = self._bind(folder, one)
            self._identity = _identity_of(path)
            self._folder, self._socket, self._path = folder, one, path
            undo.pop_all()

    def _bind(self, folder: int, one: socket.socket) -> Path:
        # Two that start at once must not take each other's socket for a dead one's.
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            for dead in [path for path in self._place.glob("wake*.sock") if not _answers(folder, path.name)]:
                dead.unlink(missing_ok=True)
            name = "wake.sock" if not (self._place / "wake.sock").exists() else f"wake-{os.getpid()}.sock"
            path = self._place / name
            one.bind(_short(folder, name))
            path.chmod(0o600)
            return path
        finally:
            fcntl.flock(folder, fcntl.LOCK_UN)

    def _is_there(self) -> bool:
        return _identity_of(self._path) == self._identity


def _answers(folder: int, name: str) -> bool:
    """Whether somebody listens there: a dead supervisor leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_short(folder, name))
        except OSError:
            return False
    return True


def _short(folder: int, name: str) -> str:
    # A socket's path is cut off at 108 bytes (unix(7)); through the open folder it is always short.
    return f"/proc/self/fd/{folder}/{name}"


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def wait(sources: Iterable[Readable], writing: Iterable[Readable], seconds: float) -> set[int] | None:
    """Until one of them is ready, or the time is over: their descriptors. None where that is not known."""
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    for sink in writing:
        poll.register(sink, select.POLLIN | select.POLLOUT)
    try:
        return {descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)}
    except OSError:  # no memory for the kernel's own table: the next turn looks at everything all the same
        time.sleep(min(max(0.0, seconds), _WITHOUT_POLL))
        return None
