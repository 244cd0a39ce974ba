"""The socket of a service manager, and what a service says there."""

import itertools
import os
import socket
from pathlib import Path
from typing import Self

from tests.support.eventually import eventually

_NUMBERS = itertools.count()


class Listener:
    """A datagram socket as $NOTIFY_SOCKET names one: a path, or an abstract name."""

    def __init__(self, folder: Path, *, abstract: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        name = f"asyncworker-test-{os.getpid()}-{next(_NUMBERS)}"
        self.address = f"@{name}" if abstract else str(folder / "notify")
        """As it stands in $NOTIFY_SOCKET."""
        self._socket.bind("\0" + name if abstract else self.address)
        self.all: list[str] = []
        """Every line so far."""

    def lines(self) -> list[str]:
        """What has come since the last time."""
        new = []
        while True:
            try:
                new += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                self.all += new
                return new

    def hears(self, line: str, within: float = 20.0) -> list[str]:
        """Everything up to now, once this line has come."""

        def fact() -> bool:
            self.lines()
            return line in self.all

        try:
            eventually(fact, within)
        except AssertionError:
            raise AssertionError(f"no {line} among {self.all}") from None
        return self.all

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
