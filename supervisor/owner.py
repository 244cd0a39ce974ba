"""This supervisor's own record: register, beat, deregister."""

from functools import partial

from supervisor.errors import GivenUp
from supervisor.installed import installed_version
from supervisor.journal import Event
from supervisor.lifecycle import Isolation
from supervisor.store import supervisors
from supervisor.store.records import Supervisor
from supervisor.supervision import Entry, Supervision

_TOLERATED = 60_000
"""Milliseconds by which a clock is set right in the ordinary."""


class Owner:
    """Keeps the row of this supervisor's life true."""

    def __init__(self) -> None:
        self._state: str | None = None
        self._isolation: Isolation | None = None
        self._beat_at = 0.0

    def due(self) -> float:
        """Monotonic seconds of the next heartbeat."""
        return self._beat_at

    def beat(self, s: Supervision, entry: Entry) -> None:
        """Register at first; then say that we live, and what state we are in.

        Raises GivenUp where it is on record that we do not.
        """
        if self._state is not None and s.keeping.isolation not in (None, self._isolation):
            self._record_isolation(s, entry, s.keeping.isolation)
        state = "stopping" if s.draining else "running" if s.ready else "starting"
        now = s.clock.monotonic()
        if self._state is None:
            if supervisors.get(entry.tx, s.uuid) is None:  # the commit that seemed to fail may have happened
                _compare_clocks(s, entry)
                supervisors.register(entry.tx, _record(s))
            entry.afterwards(lambda: self._note("starting", now + s.settings.heartbeat))
            return
        if state != self._state:
            supervisors.set_state(entry.tx, uuid=s.uuid, state=state, now=s.clock.now())
        elif now < self._beat_at:
            return
        if not supervisors.beat(entry.tx, uuid=s.uuid, now=s.clock.now()):
            # Whoever wrote that has Failed our jobs, and would take the next ones for orphans, too.
            raise GivenUp
        entry.afterwards(lambda: self._note(state, now + s.settings.heartbeat))

    def deregister(self, s: Supervision, entry: Entry) -> None:
        supervisors.set_state(entry.tx, uuid=s.uuid, state="stopped", now=s.clock.now())

    def _record_isolation(self, s: Supervision, entry: Entry, isolation: Isolation) -> None:
        supervisors.set_isolation(entry.tx, uuid=s.uuid, isolation=isolation)
        entry.afterwards(partial(setattr, self, "_isolation", isolation))

    def _note(self, state: str, beat_at: float) -> None:
        self._state, self._beat_at = state, beat_at


def _compare_clocks(s: Supervision, entry: Entry) -> None:
    """A clock that is behind is seen here; one that is ahead looks like a service that was off for long."""
    latest = supervisors.latest_heartbeat(entry.tx)
    behind = 0 if latest is None else latest - s.clock.now()
    if behind > _TOLERATED:
        entry.afterwards(partial(s.journal.say, Event.CLOCK_BEHIND, seconds=behind / 1000))


def _record(s: Supervision) -> Supervisor:
    now = s.clock.now()
    return Supervisor(
        uuid=s.uuid,
        host=s.here.host,
        boot_id=s.here.boot_id,
        pid_namespace=s.here.pid_namespace,
        identity=s.me,
        version=installed_version(),
        state="starting",
        started_at=now,
        heartbeat_at=now,
        ended_at=None,
    )
