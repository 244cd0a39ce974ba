"""HTTP over the service's socket: one question, one answer.

By hand, and not with http.client: that brings email and ssl, which take as long to import as Python to start.
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supervisor.ways.way import WayLost

PATIENCE = 30.0
"""Seconds without a byte. The server itself gives up on a locked database long before."""

_KEPT = 1.0
"""Seconds for which a connection is used again: the server closes one that idles, at a moment of its own."""

_LOOKING = ("GET", "HEAD")

_LONGEST_HEAD = 64 * 1024
_AT_ONCE = 64 * 1024
"""Bytes. For a longer piece of memory malloc(3) asks the kernel each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    """Spelt as the server does."""
    body: bytes
    changes: bool = True
    """Whether the question was one that changes something."""

    @property
    def json(self) -> Any:
        """Raises ValueError where it is something else."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """Empty where there is none."""
        return next((text for each, text in self.headers.items() if each.lower() == name.lower()), "")


class Exchange:
    """With whoever listens on one socket. Nothing is opened before it is used."""

    def __init__(self, path: Path, token: str | None = None) -> None:
        self._path = path
        self._headers = {"Host": "localhost"}  # to which every server of ours answers
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: _Connection | None = None
        self._process = 0
        self._last = 0.0

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float = PATIENCE,
    ) -> Answer:
        """Raises WayLost where no whole answer comes; then nobody knows whether it was done."""
        lengths = {} if body is None else {"Content-Length": str(len(body))}
        lines = [f"{name}: {text}" for name, text in {**self._headers, **(headers or {}), **lengths}.items()]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")
        try:
            answer = self._ready(within).exchange(head + (body or b""))
        except BaseException as error:
            self.close()  # after a Ctrl-C too: the next question would be given the answer to this one
            if isinstance(error, OSError | ValueError):
                reason = f"{method} {target}: {error!r}"
                raise WayLost(reason, perhaps_done=method not in _LOOKING) from error
            raise
        self._last = time.monotonic()
        if answer.header("Connection").lower() == "close":
            self.close()
        return replace(answer, changes=method not in _LOOKING)

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ready(self, within: float) -> "_Connection":
        if self._process != os.getpid() or time.monotonic() - self._last > _KEPT:
            self.close()  # carried over a fork, two processes would read each other's answers
        if self._connection is None:
            self._connection = _Connection(self._path, within)
            self._process = os.getpid()
        self._connection.within(within)
        return self._connection


class _Connection:
    """To a Unix socket. Everything may raise OSError, and ValueError for what is not HTTP or breaks off."""

    def __init__(self, path: Path, within: float) -> None:
        self._rest = b""
        # A socket's path is cut off at 108 bytes (unix(7)); through the open folder it is always short.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(within)
            self._socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(folder)

    def within(self, seconds: float) -> None:
        """What comes next has so much time for each piece."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> Answer:
        self._socket.sendall(request)
        status, headers = self._head()
        while status < 200:  # 100 Continue and the like
            status, headers = self._head()
        told = {name.lower(): text for name, text in headers.items()}
        if told.get("transfer-encoding", "").lower() == "chunked":
            return Answer(status, headers, self._chunks())
        length = told.get("content-length", "")
        if not length.isdecimal():
            raise ValueError("an answer without its length")
        return Answer(status, headers, self._bytes(int(length)))

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._rest:
            if len(self._rest) > _LONGEST_HEAD:
                raise ValueError("a head without an end")
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        protocol, status, *_ = first.split(" ")
        if not protocol.startswith("HTTP/1."):
            raise ValueError(f"{protocol[:20]!r} is not HTTP")
        pairs = (line.partition(":") for line in lines)
        return int(status), {name: text.strip() for name, _, text in pairs}

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._line().partition(b";")[0], 16):
            parts.append(self._bytes(size))
            self._line()
        while self._line():  # what may follow the last one
            pass
        return b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _bytes(self, size: int) -> bytes:
        parts = [self._rest]
        missing = size - len(self._rest)
        while missing > 0:
            parts.append(part := self._socket.recv(_AT_ONCE))
            missing -= len(part)
            if not part:
                raise ValueError("the answer breaks off")
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]

    def _more(self) -> None:
        part = self._socket.recv(_AT_ONCE)
        if not part:
            raise ValueError("the answer breaks off")
        self._rest += part
