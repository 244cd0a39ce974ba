"""The http server as it really is, on the socket of an installation; and that installation, emptied."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from supervisor.store import open_store
from tests.cli.commandline import Installation

KEPT = {"api.sock", "jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-migrating", "logs", "work"}


class HttpServer:
    """A process of its own."""

    def __init__(self, child: "subprocess.Popen[bytes]", installation: Installation) -> None:
        self.child = child
        self.installation = installation

    def die(self) -> None:
        """At once, leaving its socket behind."""
        self.child.kill()
        self.child.wait(timeout=20)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It accepts, as the kernel does that for it, and says nothing."""
        self.child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.child.send_signal(signal.SIGCONT)


@contextmanager
def serving(installation: Installation, given: Mapping[str, str] | None = None) -> Iterator[HttpServer]:
    """From when it answers until it has ended; `given` is added to its environment."""
    installation.locations.make_state_dir()
    open_store(installation.locations.database).close()
    reader, writer = os.pipe()
    with open(installation.folder / "http.log", "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "supervisor.api", "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**installation.environment, **(given or {})},
            cwd=installation.folder,
            pass_fds=(writer,),
        )
    os.close(writer)
    try:
        with open(reader, "rb") as ready:
            assert ready.readline(), (installation.folder / "http.log").read_text()
        yield HttpServer(child, installation)
    finally:
        child.kill()
        child.wait(timeout=20)


def emptied(installation: Installation) -> None:
    """As if nobody had used it: other tests share it, because a server takes its time to start."""
    for path in installation.state_dir.iterdir():
        if path.name not in KEPT:
            path.unlink() if not path.is_dir() else shutil.rmtree(path)
    for log in (installation.state_dir / "logs").iterdir():
        shutil.rmtree(log)
    with closing(sqlite3.connect(installation.state_dir / "jobs.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("BEGIN IMMEDIATE")
        for table in ("attempts", "idempotency_keys", "jobs", "supervisors"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("COMMIT")


def _message(connection: socket.socket) -> bytes:
    """A request or an answer of HTTP, head and body; nothing at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (part := connection.recv(65536)):
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def forgetful(installation: Installation, front: Path, forgets: bytes) -> Iterator[Path]:
    """A state folder whose server does what it is asked, but keeps the answers to such requests to itself."""
    for name in ("jobs.db", "logs", "work"):
        (front / name).symlink_to(installation.state_dir / name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{(folder := os.open(front, os.O_RDONLY))}/api.sock")
    os.close(folder)
    listener.listen()
    behind = os.open(installation.state_dir, os.O_RDONLY)

    def pass_on() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller, socket.socket(socket.AF_UNIX) as real:
                real.connect(f"/proc/self/fd/{behind}/api.sock")
                while request := _message(caller):
                    real.sendall(request)
                    answer = _message(real)
                    if request.startswith(forgets):
                        break
                    caller.sendall(answer)

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)
        os.close(behind)
