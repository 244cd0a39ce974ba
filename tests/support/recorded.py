"""Clients and a service at work, for a recording of what they do to the disk: recorded.py STATE SAID WHO HOW.

STATE is a state folder that need not exist; what is promised to whom is appended to SAID, a line each, at the
moment when it is. WHO is `clients`, `service`, or `service without http`. HOW weakens the product, so that a
test can be seen to notice: `synchronous=NORMAL`, or `no folder is synced`; or it is empty.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from asyncworker import Client
from supervisor.store import dbfile, open_store
from supervisor.store.engine import Store
from supervisor.store.records import CancelAnswer, Job
from tests.support import aside
from tests.support.eventually import eventually

CLIENTS, SERVICE, NO_HTTP = "clients", "service", "service without http"
NORMAL, NO_FOLDERS = "synchronous=NORMAL", "no folder is synced"

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "tests.support.recorded")
_SERVE = f"""
import sys
from supervisor.store import engine
sys.path.insert(0, {str(ROOT)!r})
from tests.support import aside
for instead in sys.argv[1:]:
    aside.leave_aside(instead)
engine._CHECKPOINT_PAGES = 40
from supervisor.__main__ import main
raise SystemExit(main())
"""

Say = Callable[[str, Job], None]


def main() -> None:
    state, said, who, how = sys.argv[1:]
    _weaken(how)
    out = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def say(what: str, job: Job) -> None:
        os.write(out, f"{what} {job.id}\n".encode())

    instead = [] if who == SERVICE else [str(aside.program(Path(said).parent))]
    with Client(state) as client:
        long, waiting = (_submit(client, say, 300) for _ in range(2))
        _cancel(client, say, waiting)
        short = [_submit(client, say) for _ in range(4)]
        if who == CLIENTS:
            with open_store(client.locations.database, supervisor=True):  # so that theirs is never the last
                for _ in range(5):
                    _submit(client, say)
            return
        with _service(instead) as service:
            _running(client, long)
            with subprocess.Popen([*COMMAND, state, said, CLIENTS, how]):
                short += [_submit(client, say) for _ in range(10)]
            _all_ended(client, short)
            service.kill()
        with _service(instead) as service:  # it finds what the first one left
            _cancel(client, say, _running(client, _submit(client, say, 300)))
            _all_ended(client, [long])
            service.send_signal(signal.SIGTERM)
            service.wait()


def _weaken(how: str) -> None:
    """Take something from the product that keeps its promises."""
    if how == NO_FOLDERS:
        setattr(dbfile, "sync_names", lambda path: None)  # noqa: B010  (mypy would want its type)
    if how == NORMAL:
        connect = Store._connect

        def weaker(store: Store) -> object:
            connection = connect(store)
            connection.execute("PRAGMA synchronous=NORMAL")
            return connection

        setattr(Store, "_connect", weaker)  # noqa: B010  (likewise)


@contextlib.contextmanager
def _service(instead: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-P", "-c", _SERVE, *instead]) as service:
        try:
            yield service
        finally:
            service.kill()


def _submit(client: Client, say: Say, seconds: float = 0.0) -> Job:
    job = client.submit("Nap", seconds)
    say("submitted", job)
    return job


def _running(client: Client, job: Job) -> Job:
    eventually(lambda: client.get(job.id).pid, 60.0)
    return job


def _cancel(client: Client, say: Say, job: Job) -> None:
    answer = client.cancel(job.id).answer
    say("cancelled" if answer is CancelAnswer.CANCELLED else "requested", job)


def _all_ended(client: Client, jobs: list[Job]) -> None:
    eventually(lambda: all(client.get(job.id).ended for job in jobs), 60.0)


if __name__ == "__main__":
    main()
