"""What is done to the surroundings: each for a while, and then undone."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.service import Service
from tests.torture.book import Book
from tests.torture.ground import Ground
from tests.torture.plan import Fault, Step
from tests.torture.seats import is_ready, keeper_of, living
from workers.identity import Identity

_HELD = Path(__file__).with_name("held.py")
_PIECE = 1 << 20


class Faults:
    """Used by one lane alone."""

    def __init__(self, ground: Ground, book: Book) -> None:
        self._ground = ground
        self._book = book

    def do(self, step: Step) -> None:
        act = step.act
        assert isinstance(act, Fault)
        with _FAULTS[act.verb](self._ground, self._ground.services[act.seat]) as done:
            if done:
                time.sleep(act.seconds)
        self._book.count(act.verb if done else f"{act.verb}: nothing")


@contextlib.contextmanager
def _locked(ground: Ground, _service: Service) -> Iterator[bool]:
    holder = subprocess.Popen([sys.executable, "-S", "-E", str(_HELD), str(ground.database), "300"])
    try:
        yield True
    finally:
        holder.kill()
        holder.wait()


@contextlib.contextmanager
def _unwakeable(_ground: Ground, service: Service) -> Iterator[bool]:
    sockets = list(service.state_dir.glob("wake*.sock"))
    for socket in sockets:
        socket.unlink(missing_ok=True)
    yield bool(sockets)


@contextlib.contextmanager
def _without_logs(_ground: Ground, service: Service) -> Iterator[bool]:
    """A file stands where their folder was: nothing can be made there, not even by root."""
    logs, aside = service.state_dir / "logs", service.state_dir / "logs.aside"
    if not logs.is_dir():
        yield False
        return
    logs.rename(aside)
    logs.touch()
    try:
        yield True
    finally:
        logs.unlink()
        aside.rename(logs)


@contextlib.contextmanager
def _full(ground: Ground, _service: Service) -> Iterator[bool]:
    if not ground.has_disk:
        yield False
        return
    ballast = ground.disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for piece in (_PIECE, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(piece))
        yield True
    finally:
        ballast.unlink()


def _starved(
    whom: Callable[[Service], Identity | None],
) -> Callable[[Ground, Service], contextlib.AbstractContextManager[bool]]:
    """It has no descriptor left for anything new."""

    @contextlib.contextmanager
    def fault(_ground: Ground, service: Service) -> Iterator[bool]:
        who = whom(service)
        limits = None if who is None else _limited(who)
        try:
            yield limits is not None
        finally:
            if who is not None and limits is not None and who.is_running():
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(who.pid, resource.RLIMIT_NOFILE, limits)

    return fault


def _limited(who: Identity) -> tuple[int, int] | None:
    """What it had before."""
    try:
        used = len(os.listdir(f"/proc/{who.pid}/fd"))
        before = resource.prlimit(who.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(who.pid, resource.RLIMIT_NOFILE, (used, before[1]))
    except OSError:
        return None
    return before


def _keeper(service: Service) -> Identity | None:
    running = living(service)
    return keeper_of(running[-1]) if running and is_ready(running[-1]) else None


def _supervisor(service: Service) -> Identity | None:
    running = living(service)
    return Identity.of(running[-1].pid) if running and is_ready(running[-1]) else None


_FAULTS: dict[str, Callable[[Ground, Service], contextlib.AbstractContextManager[bool]]] = {
    "lock": _locked,
    "wake socket": _unwakeable,
    "logs": _without_logs,
    "disk full": _full,
    "descriptors of keeper": _starved(_keeper),
    "descriptors of supervisor": _starved(_supervisor),
}
