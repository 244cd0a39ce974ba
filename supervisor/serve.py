"""Put a supervisor together from its settings, and run it."""

import faulthandler
import os
import sys
import uuid
from functools import partial

from supervisor import http_settings, lifeline
from supervisor.assigning import minimal_environment
from supervisor.clock import SystemClock
from supervisor.errors import AsyncWorkerError, InvalidConfiguration, reason
from supervisor.front import Front, FrontProcess
from supervisor.jobtypes.load import load
from supervisor.jobtypes.records import JobTypes
from supervisor.journal import Event, Journal
from supervisor.keeper_link import KeeperLink
from supervisor.keeping import Keeping
from supervisor.lifeline import Lifeline
from supervisor.liveness import Here
from supervisor.loop import Loop
from supervisor.notify import Notify
from supervisor.recovery import Recovery
from supervisor.settings import Settings
from supervisor.store import open_store
from supervisor.supervision import Supervision
from supervisor.wakeup import Signals, WakeSocket
from workers import kernel, subtree
from workers.guard import guard_the_service
from workers.identity import Identity
from workers.subtree import ISOLATION
from workers.visibility import hiding


def serve() -> int:
    """Run until stopped: the exit code. Mistakes are one sentence on standard error."""
    try:
        guard_the_service()
        faulthandler.enable()  # a watchdog ends us with SIGABRT: the log then shows where we were stuck
        _check_that_processes_can_be_seen()
        http_settings.check()
        _serve(Settings.from_environment())
    except AsyncWorkerError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    except (OSError, MemoryError, ImportError) as error:  # the last: a disk that fails hides modules
        # What a turn can survive does not come here. What was in its hands cannot be trusted any more: its
        # jobs end with it, and their ends are recorded by the next start.
        sys.stderr.write(f"Error: the service cannot go on: {reason(error)}; start it again\n")
        return 1
    return 0


def _check_that_processes_can_be_seen() -> None:
    """Who cannot see its processes can neither start a job nor say that one has ended."""
    if option := hiding():
        raise InvalidConfiguration(
            f"/proc is mounted with {option}, which hides the service's processes from it; mount it without"
            " that, or with gid= of a group that the service's user is in"
        )


def _serve(settings: Settings) -> None:
    # First of all: a signal during a slow start is obeyed as soon as the loop turns.
    signals = Signals()
    notify = Notify.from_environment(os.environ)
    journal = Journal(log_format=settings.log_format)
    job_types = load(settings.locations.config)
    settings.locations.make_state_dir()
    # What a dead keeper leaves comes to us, so that it can be found and ended.
    kernel.become_subreaper()
    subtree.make_room()
    me = str(uuid.uuid4())
    with (
        open_store(settings.locations.database, supervisor=True) as store,
        Lifeline(lifeline.folder_of(store.path), me) as line,
    ):
        s = _supervision(
            me,
            settings=settings,
            job_types=job_types,
            journal=journal,
            notify=notify,
            here=Here.current(store.path),
            line=line,
        )
        wake_socket = _wake_socket(settings, journal)
        state_dir = settings.locations.state_dir
        journal.say(Event.SUPERVISOR_STARTED, uuid=me, pid=os.getpid(), state_dir=state_dir)
        try:
            Loop(s, store, signals, wake_socket).run()
        finally:
            if wake_socket is not None:
                wake_socket.close()


def _supervision(
    me: str,
    *,
    settings: Settings,
    job_types: JobTypes,
    journal: Journal,
    notify: Notify,
    here: Here,
    line: Lifeline,
) -> Supervision:
    identity = Identity.of(os.getpid())
    assert identity is not None
    asked = {name: text for name, text in os.environ.items() if name == ISOLATION}
    environment = minimal_environment(os.environ) | asked
    return Supervision(
        uuid=me,
        settings=settings,
        job_types=job_types,
        clock=SystemClock(),
        journal=journal,
        keeping=Keeping(partial(KeeperLink, owner=me, environment=environment, lifeline=line.fd)),
        front=Front(partial(FrontProcess, os.environ)),
        recovery=Recovery(),
        here=here,
        me=identity,
        notify=notify,
    )


def _wake_socket(settings: Settings, journal: Journal) -> WakeSocket | None:
    try:
        return WakeSocket(settings.locations.state_dir)
    except OSError as error:
        journal.say(Event.WAKE_SOCKET_UNAVAILABLE, why=error.strerror)
        return None
