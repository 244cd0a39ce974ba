"""After the torture: everything is let come to its end, and what is left is looked for from outside."""

import contextlib
import signal
import sqlite3
import time

from tests.support.eventually import eventually
from tests.support.service import Service
from tests.torture.ground import Ground, types
from tests.torture.seats import Seats, is_ready, living, reload
from workers import subtree

PATIENCE = 180.0
"""Seconds for everything to end, on however busy a machine."""


def settle(ground: Ground, seats: Seats) -> list[str]:
    """Some supervisor serves until every job has ended, and then all stop. What is alive afterwards."""
    for service in ground.services:
        service.configure(types(ground.database))
        for serving in living(service):
            serving.signal(signal.SIGCONT)
            reload(serving)
    _all_ended(ground, seats)
    left = _stopped(ground, seats)
    with contextlib.suppress(AssertionError):
        eventually(lambda: not _alive(ground), 20.0, 0.1)
    return [*left, *_alive(ground)]


def _all_ended(ground: Ground, seats: Seats) -> None:
    """Or not, after a long time: what then has not is for the checker to say."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not _is_over(ground):
        for service in ground.services:
            # The first serves; the other where only it can reach what its predecessors left.
            if not living(service) and (service is ground.services[0] or _folders(service)):
                seats.start(service, be_ready=True)
        time.sleep(0.1)


def _is_over(ground: Ground) -> bool:
    """Every job has ended, and every supervisor that is gone has been found to be."""
    serving = [serving for service in ground.services for serving in living(service)]
    with contextlib.closing(sqlite3.connect(ground.database, timeout=20)) as database:
        (jobs,) = database.execute("SELECT count(*) FROM jobs WHERE completed_at IS NULL").fetchone()
        (lives,) = database.execute("SELECT count(*) FROM supervisors WHERE ended_at IS NULL").fetchone()
    settled = not jobs and lives == len(serving) and all(map(is_ready, serving))
    return settled and not any(map(_folders, ground.services))


def _folders(service: Service) -> list[str]:
    """Private directories of jobs."""
    work = service.state_dir / "work"
    return [each.name for each in work.iterdir()] if work.exists() else []


def _stopped(ground: Ground, seats: Seats) -> list[str]:
    late = []
    for service in ground.services:
        for serving in living(service):
            seats.stop(serving)
    for service in ground.services:
        for serving in living(service):
            try:
                eventually(lambda: serving.process.poll() is not None, 60.0)  # noqa: B023  (asked at once)
            except AssertionError:
                late.append(f"supervisor with pid {serving.pid}, a minute after SIGTERM,")
                seats.kill(serving)
    return late


def _alive(ground: Ground) -> list[str]:
    """Processes by their environment, their directory and their notes; and what is left of them."""
    found = [f"process {who.pid}" for service in ground.services for who in service.alive()]
    for service in ground.services:
        found += [f"directory {name}" for name in _folders(service)]
        found += [f"control group {each}" for owner in service.owners() for each in subtree.left_of(owner)]
    return sorted(set(found))
