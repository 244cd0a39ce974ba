"""The sockets in the state folder: whether somebody listens, and hears."""

import contextlib
import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cli.checkup.finding import Finding, ok, warning
from supervisor.settings import Locations
from supervisor.ways.exchange import Exchange
from supervisor.ways.sameness import is_served
from supervisor.ways.way import WayLost

PATIENCE = 2.0
"""Seconds; a supervisor that turns hears in milliseconds."""


class Ear(Enum):
    """What became of a datagram."""

    HEARD = "was read"
    UNHEARD = "was not read"
    NOBODY = "nobody listens"


def nudged(folder: Path) -> dict[str, Ear]:
    """Every wake-up socket of a state folder, rung; it harms nobody."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        names = sorted(path.name for path in folder.glob("wake*.sock"))
        return {name: _ring(f"/proc/self/fd/{opened}/{name}") for name in names}
    finally:
        os.close(opened)


def _ring(address: str) -> Ear:
    """A datagram counts as the sender's memory until it is read: that is how it tells (SIOCOUTQ, unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bell:
        try:
            bell.connect(address)
        except OSError:
            return Ear.NOBODY
        with contextlib.suppress(BlockingIOError):  # its queue is full of others that nobody has read
            bell.send(b"")
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if _unread(bell) == 0:
                    return Ear.HEARD
                time.sleep(0.005)
        return Ear.UNHEARD


def _unread(bell: socket.socket) -> int:
    (number,) = struct.unpack("i", fcntl.ioctl(bell, termios.TIOCOUTQ, bytes(4)))
    return int(number)


def judge_wake(rung: dict[str, Ear], *, served: bool) -> Iterator[Finding]:
    """`served`: whether a supervisor lives."""
    heard = [name for name, ear in rung.items() if ear is Ear.HEARD]
    for name, ear in rung.items():
        if ear is Ear.UNHEARD:
            yield warning(
                "wake-up",
                f"what is sent to {name} is not read: who listens there is stopped, hangs, or is very busy",
                "Look at the service's log, and at its state in: ps -o stat,pid,cmd -p PID",
            )
    if heard:
        yield ok("wake-up", f"{', '.join(heard)} is heard")
    elif served and not any(ear is Ear.UNHEARD for ear in rung.values()):
        yield warning(
            "wake-up",
            "a service runs, and nobody listens at wake.sock: new jobs are found within a second only",
            "Look in its log for wake_socket_unavailable. Its state folder may be another than this.",
        )
    elif not served:
        yield ok("wake-up", "nobody listens, and no service is known to run")


@dataclass(frozen=True, slots=True)
class Api:
    """What became of a question to api.sock."""

    there: bool
    status: int | None = None
    """None where no answer came."""
    ours: bool = False
    """Whether it serves the database and the job types that we mean."""
    why: str = ""


def asked(locations: Locations) -> Api:
    path = locations.api_socket
    if not path.is_socket():
        return Api(there=False)
    exchange = Exchange(path)
    try:
        answer = exchange.ask("GET", "/healthz", within=PATIENCE)
    except WayLost as lost:
        return Api(there=True, why=str(lost))
    finally:
        exchange.close()
    return Api(there=True, status=answer.status, ours=is_served(locations, answer.headers))


def judge_api(api: Api, *, served: bool) -> Iterator[Finding]:
    if api.status == 200 and api.ours:
        yield ok("api.sock", "REST answers, for this database and these job types")
    elif api.status == 200:
        yield warning(
            "api.sock",
            "REST answers, but for another database, or other job types",
            "Give the --database and --config that the service runs with.",
        )
    elif served:
        what = f"answers {api.status}" if api.status else f"does not answer ({api.why or 'it is not there'})"
        yield warning(
            "api.sock",
            f"a service runs, and REST {what}",
            "Jobs are not affected, clients use the database. Look in its log for http_ended.",
        )
    else:
        yield ok("api.sock", "REST does not answer, and no service is known to run")
