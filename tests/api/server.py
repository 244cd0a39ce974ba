"""A real http server in a process of its own, and plain clients for it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.cli.commandline import Installation, PlayedService
from tests.support.eventually import eventually

JSON = {"Content-Type": "application/json"}
STOPS_WITHIN = 10.0


@dataclass(frozen=True)
class Reply:
    """What the server said."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """Checked to be one."""
        assert self.headers["content-type"] == "application/problem+json", self
        found: dict[str, Any] = self.json
        assert found["status"] == self.status
        assert found["title"]
        assert found["detail"]
        return found

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        return [each["field"] for each in self.problem["errors"]]


class UnixConnection(http.client.HTTPConnection):
    """To a socket; through its folder, because a path may be longer than an address."""

    def __init__(self, folder: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        self.sock = unix_socket(self._folder, float(self.timeout or 0))


def unix_socket(folder: str, timeout: float = 20.0) -> socket.socket:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(f"/proc/self/fd/{descriptor}/api.sock")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection


class HttpServer:
    """`python -P -m supervisor.api`; starting waits until it says that it is ready."""

    def __init__(
        self,
        installation: Installation,
        http: str = "127.0.0.1:0",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.installation = installation
        ready, told = os.pipe()
        parent, self._lifeline = os.pipe()
        with (installation.folder / "http.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command(), "--parent-fd", str(parent), "--ready-fd", str(told)],
                pass_fds=[parent, told],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env={**installation.environment, "ASYNCWORKER_HTTP": http, **(environment or {})},
                cwd=installation.folder,
            )
        os.close(told)
        os.close(parent)
        with os.fdopen(ready) as lines:
            self.urls = lines.readline().split()
        assert self.process.poll() is None, self.log
        self.port = int(self.urls[0].rpartition(":")[2]) if self.urls else 0

    @property
    def log(self) -> str:
        return (self.installation.folder / "http.log").read_text()

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        socket: bool = False,
        timeout: float = 20.0,
    ) -> Reply:
        """One request on a connection of its own. A body that is no text or bytes is sent as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, str | bytes):
            body, sent = json.dumps(body), {**JSON, **sent}
        connection = self.connect(timeout=timeout) if not socket else self.connect_unix(timeout=timeout)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask(
            "GET", target, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    def submit(self, type: str = "EmailJob", payload: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002
        reply = self.ask("POST", "/api/jobs", {"type": type, "payload": payload, **more})
        assert reply.status == 202, reply
        found: dict[str, Any] = reply.json
        return found

    def connect(self, timeout: float = 20.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def connect_unix(self, timeout: float = 20.0) -> http.client.HTTPConnection:
        return UnixConnection(str(self.installation.state_dir), timeout)

    def raw(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def exchange(self, text: bytes, timeout: float = 20.0) -> bytes:
        """Send these bytes, and give all that comes until the server closes."""
        with self.raw(timeout) as connection:
            connection.sendall(text)
            return read_all(connection)

    def memory(self) -> int:
        """Bytes that it has had in memory at most."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def connections(self) -> int:
        """Open sockets, the listening ones included."""
        number = 0
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                number += os.readlink(entry.path).startswith("socket:")
        return number

    def cut_lifeline(self) -> None:
        """As the kernel does when the supervisor is gone."""
        os.close(self._lifeline)
        self._lifeline = -1

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = STOPS_WITHIN) -> int:
        self.process.send_signal(number)
        return self.wait(within)

    def wait(self, within: float = STOPS_WITHIN) -> int:
        eventually(lambda: self.process.poll() is not None, within)
        return int(self.process.returncode)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)


def command() -> list[str]:
    return [sys.executable, "-P", "-m", "supervisor.api"]


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes; a reset is an end too."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


__all__ = ["HttpServer", "Installation", "PlayedService", "Reply", "command", "read_all", "unix_socket"]
