"""Jobs of all kinds, by the hundred, asked for and looked at as applications do."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from supervisor.lifecycle import JobStatus
from supervisor.store.records import Job
from tests.support.eventually import eventually
from tests.support.service import Service

TYPES: dict[str, dict[str, Any]] = {
    "Errand": {"handler": "errands:errand", "max_concurrency": 6},
    "Twice": {
        "handler": "errands:errand",
        "max_concurrency": 2,
        "retries": {"max_attempts": 2, "initial": "1ms", "jitter": False},
    },
    "Program": {"command": ["/bin/true"], "max_concurrency": 2},
    "Nap": {"handler": "chores:nap", "max_concurrency": 1, "grace": "200ms"},
}

_KINDS = cycle(
    [
        *[("Errand", payload) for payload in ("answer", "progress", "raise", "exit", "leave")],
        *[("Errand", "answer")] * 12,
        ("Twice", "raise"),
        ("Program", None),
        ("Program", None),
    ]
)


def run(service: Service, jobs: int) -> None:
    """So many more jobs; of a hundred one is cancelled while it runs, and another while it waits."""
    with _listening(service):
        for _ in range(0, jobs, 100):
            _run_hundred(service)
    eventually(lambda: not _unended(service), 300.0, 0.05)


def _run_hundred(service: Service) -> None:
    client = service.client
    running, waiting, *_ = list(_hundred(service))
    eventually(lambda: client.get(running.id).pid is not None, 60.0)
    client.cancel(waiting.id)
    client.cancel(running.id)
    client.attempts(running.id)
    client.list()
    eventually(lambda: _unended(service) < 50, 300.0, 0.05)


def _hundred(service: Service) -> Iterator[Job]:
    yield service.client.submit("Nap", 60)
    yield service.client.submit("Nap", 60)
    for _, (kind, payload) in zip(range(98), _KINDS, strict=False):
        yield service.client.submit(kind, payload)


def _unended(service: Service) -> int:
    counts = service.client.overview().counts
    return counts[JobStatus.PENDING] + counts[JobStatus.IN_PROGRESS]


def _connected(listener: socket.socket, service: Service) -> bool:
    try:
        listener.connect(str(service.state_dir / "api.sock"))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


@contextlib.contextmanager
def _listening(service: Service) -> Iterator[None]:
    """Somebody listens to the stream of changes meanwhile."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        eventually(lambda: _connected(listener, service))  # a supervisor is ready before its http server
        listener.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader = threading.Thread(target=_read, args=(listener,))
        reader.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            reader.join()


def _read(listener: socket.socket) -> None:
    while listener.recv(65536):
        pass
