"""HTTP over the service's socket: one question, one answer."""

import http.client
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.ways.way import WayLost

PATIENCE = 30.0
"""Seconds without a byte. The server itself gives up on a locked database long before."""

_KEPT = 1.0
"""Seconds for which a connection is used again: the server closes one that idles, at a moment of its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    """Spelt as the server does."""
    body: bytes

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
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connection: http.client.HTTPConnection | None = None
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
        connection = self._ready(within)
        try:
            connection.request(method, target, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if response.length is None and not response.chunked:  # its head was cut off
                raise http.client.IncompleteRead(b"")
            answer = Answer(response.status, dict(response.headers), response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise WayLost(f"{method} {target}: {error!r}") from error
        self._last = time.monotonic()
        return answer

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ready(self, within: float) -> http.client.HTTPConnection:
        if self._process != os.getpid() or time.monotonic() - self._last > _KEPT:
            self.close()  # carried over a fork, two processes would read each other's answers
        if self._connection is None:
            self._connection = _Connection(self._path)
            self._process = os.getpid()
        self._connection.timeout = within
        if self._connection.sock is not None:
            self._connection.sock.settimeout(within)
        return self._connection


class _Connection(http.client.HTTPConnection):
    """To a Unix socket. Its Host is one that every server of ours answers to."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        # A socket's path is cut off at 108 bytes (unix(7)); through the open folder it is always short.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)
