"""Put a supervisor together from its settings, and run it."""

import os
import sys
import uuid
from functools import partial

from supervisor import http_settings, lifeline
from supervisor.assigning import minimal_environment
from supervisor.clock import SystemClock
from supervisor.errors import AsyncWorkerError
from supervisor.front import Front, FrontProcess
from supervisor.jobtypes.effect import without_effect
from supervisor.jobtypes.load import load
from supervisor.journal import Event, Journal
from supervisor.keeper_link import KeeperLink
from supervisor.keeping import Keeping
from supervisor.lifeline import Lifeline
from supervisor.liveness import Here
from supervisor.loop import Loop
from supervisor.recovery import Recovery
from supervisor.settings import Settings
from supervisor.store import open_store
from supervisor.supervision import Supervision
from supervisor.wakeup import Signals, WakeSocket
from workers import kernel
from workers.guard import guard_the_service
from workers.identity import Identity


def serve() -> int:
    """Run until stopped: the exit code. Mistakes are one sentence on standard error."""
    guard_the_service()
    try:
        http_settings.check()
        _serve(Settings.from_environment())
    except AsyncWorkerError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return 0


def _serve(settings: Settings) -> None:
    # First of all: a signal during a slow start is obeyed as soon as the loop turns.
    signals = Signals()
    journal = Journal(log_format=settings.log_format)
    job_types = load(settings.locations.config)
    settings.locations.make_state_dir()
    for sentence in without_effect(job_types):
        journal.say(Event.TYPE_KEY_WITHOUT_EFFECT, sentence=sentence)
    # What a dead keeper leaves comes to us, so that it can be found and ended.
    kernel.become_subreaper()
    me = str(uuid.uuid4())
    identity = Identity.of(os.getpid())
    assert identity is not None
    with (
        open_store(settings.locations.database, supervisor=True) as store,
        Lifeline(lifeline.folder_of(store.path), me) as line,
    ):
        start_keeper = partial(
            KeeperLink, owner=me, environment=minimal_environment(os.environ), lifeline=line.fd
        )
        s = Supervision(
            uuid=me,
            settings=settings,
            job_types=job_types,
            clock=SystemClock(),
            journal=journal,
            keeping=Keeping(start_keeper),
            front=Front(partial(FrontProcess, os.environ)),
            recovery=Recovery(),
            here=Here.current(store.path),
            me=identity,
        )
        wake_socket = _wake_socket(settings, journal)
        state_dir = settings.locations.state_dir
        journal.say(Event.SUPERVISOR_STARTED, uuid=me, pid=os.getpid(), state_dir=state_dir)
        try:
            Loop(s, store, signals, wake_socket).run()
        finally:
            if wake_socket is not None:
                wake_socket.close()


def _wake_socket(settings: Settings, journal: Journal) -> WakeSocket | None:
    try:
        return WakeSocket(settings.locations.state_dir)
    except OSError as error:
        journal.say(Event.WAKE_SOCKET_UNAVAILABLE, why=error.strerror)
        return None
