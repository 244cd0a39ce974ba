"""Orphans: InProgress jobs whose owner is gone. Nothing of them may be running before they are Failed.

Each step can be interrupted and repeated: looking changes nothing, sweeping what is gone finds
nothing, and the outcome is one conditional UPDATE, so two supervisors may recover the same owner.
"""

from functools import partial

from supervisor import lifeline, liveness
from supervisor.ending import end
from supervisor.journal import Event
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import End, Outcome, with_facts
from supervisor.store import attempts, jobs, supervisors
from supervisor.store.records import Job, Supervisor
from supervisor.supervision import Entry, Supervision

_PATIENCE = 3.0
"""Seconds in which a dead supervisor's keeper may end by itself all that it holds. It usually takes
milliseconds, and knows of processes that carry no mark of their owner."""


class Recovery:
    """What is known of the owners that are gone."""

    def __init__(self) -> None:
        self._look_at = 0.0
        self._looked = False
        """Whether all that was asked since the last look was asked of the keeper that lives."""
        self._sweeping: set[str] = set()
        self._unswept: set[str] = set()
        """Of those, owners whose processes do not end: nobody waits for them."""
        self._swept: dict[str, int] = {}
        self._not_judged: set[str] = set()
        self.settled = 0
        """Owners whose jobs have been settled so far."""
        self.complete = False
        """True once every owner found gone at the first look has been settled, or holds out."""

    def due(self) -> float:
        """When to look next, in monotonic seconds."""
        return self._look_at

    def has_news(self) -> bool:
        return bool(self._swept)

    def swept(self, owner: str, killed: int) -> None:
        """The keeper says that nothing of this owner is running."""
        if owner in self._sweeping:
            self._sweeping.discard(owner)
            self._unswept.discard(owner)
            self._swept[owner] = killed

    def unswept(self, owner: str) -> None:
        """The keeper says that something of this owner hangs in the kernel. It goes on trying.

        Its jobs keep their slots, since they are InProgress: there is no reason to hold up others.
        """
        self._unswept |= self._sweeping & {owner}

    def lost_keeper(self) -> None:
        """What was asked of a keeper that has died or retires is asked again of the next."""
        self._sweeping.clear()
        self._unswept.clear()
        self._looked = False
        self._look_at = 0.0

    def step(self, s: Supervision, entry: Entry) -> None:
        """Settle the owners that are swept; look for others when it is time."""
        for uuid in list(self._swept):
            self._settle(s, entry, uuid, self._swept[uuid])
            entry.afterwards(partial(self._forget, uuid))
        if s.clock.monotonic() >= self._look_at and s.keeping.ready:
            self._look(s, entry)
            # Not before the commit: a look that came to nothing is repeated with the transaction.
            entry.afterwards(partial(self._note_look, s.clock.monotonic() + s.settings.recovery))
            entry.afterwards(self._note_completeness)
        elif self._swept:
            entry.afterwards(self._note_completeness)

    def _settle(self, s: Supervision, entry: Entry, uuid: str, killed: int) -> None:
        _settle(s, entry, uuid, killed)
        self.settled += 1

    def _forget(self, owner: str) -> None:
        self._swept.pop(owner, None)

    def _note_look(self, look_at: float) -> None:
        self._looked, self._look_at = True, look_at

    def _note_completeness(self) -> None:
        self.complete = self.complete or (
            self._looked and not (self._sweeping - self._unswept or self._swept)
        )

    def _look(self, s: Supervision, entry: Entry) -> None:
        known = {owner.uuid: owner for owner in supervisors.not_ended(entry.tx)}
        # A job can be held by an owner on record as ended, or by none: from a backup, say.
        for uuid in (known.keys() | jobs.owners_in_progress(entry.tx)) - {s.uuid} - self._sweeping:
            owner = known.get(uuid) or supervisors.get(entry.tx, uuid)
            alive = liveness.is_alive(owner, s.here) if owner else False
            if owner and alive is None:
                self._leave_alone(s, owner)
            elif not alive:
                self._recover(s, entry, uuid, owner)

    def _recover(self, s: Supervision, entry: Entry, uuid: str, owner: Supervisor | None) -> None:
        held = jobs.held_by(entry.tx, owner=uuid)
        s.journal.say(Event.ORPHANS_FOUND, who=_name(uuid, owner), jobs=len(held))
        if owner and owner.boot_id != s.here.boot_id:
            self._settle(s, entry, uuid, 0)  # nothing outlives a boot
            return
        self._sweeping.add(uuid)
        # Pids of another PID namespace are other processes here; the cookie still tells.
        speak = owner is not None and owner.pid_namespace == s.here.pid_namespace
        children = [who for _, _, who in attempts.children_of(entry.tx, owner=uuid)] if speak else []
        s.keeping.sweep(uuid, children, _PATIENCE, _silence(s, owner) if owner else None)

    def _leave_alone(self, s: Supervision, owner: Supervisor) -> None:
        if owner.uuid not in self._not_judged:
            self._not_judged.add(owner.uuid)
            s.journal.say(Event.OWNER_NOT_JUDGED, owner=owner.uuid, host=owner.host)


def _settle(s: Supervision, entry: Entry, uuid: str, killed: int) -> None:
    """Nothing of this owner is running: record the end of its jobs, and its own."""
    owner = supervisors.get(entry.tx, uuid)
    ends = _ends(s, entry, uuid)
    for job in jobs.held_by(entry.tx, owner=uuid):
        outcome = with_facts(_outcome(s, job, owner), ends.get((job.id, job.attempt)))
        if end(s, entry, job, outcome, s.job_types.types.get(job.type)):
            directory = s.settings.locations.working_directory_of(job.id, job.attempt)
            entry.afterwards(partial(s.keeping.discard, str(directory)))
    supervisors.set_state(entry.tx, uuid=uuid, state="lost", now=s.clock.now())
    entry.afterwards(partial(lifeline.remove, s.here.lifelines, uuid))
    entry.afterwards(partial(s.journal.say, Event.ORPHANS_RECOVERED, owner=uuid, killed=killed))


def _ends(s: Supervision, entry: Entry, uuid: str) -> dict[tuple[str, int], End]:
    """By job and attempt: what its keeper wrote down of their ends."""
    seen = lifeline.ends(s.here.lifelines, uuid)
    children = attempts.children_of(entry.tx, owner=uuid) if seen else []
    return {(job_id, number): seen[who] for job_id, number, who in children if who in seen}


def _outcome(s: Supervision, job: Job, owner: Supervisor | None) -> Outcome:
    """Cancelled where that was asked for and its supervisor died over it; Failed otherwise."""
    if job.cancel_requested_at is not None:
        return Outcome(JobStatus.CANCELLED)
    who = _name(job.owner or "", owner)
    if owner is not None and owner.boot_id != s.here.boot_id:
        return Outcome(
            JobStatus.FAILED,
            FailureKind.HOST_REBOOTED,
            error_message=f"its {who} was gone: the host has booted since",
        )
    return Outcome(
        JobStatus.FAILED,
        FailureKind.OWNER_DIED,
        error_message=f"its {who} died while it ran",
    )


def _silence(s: Supervision, owner: Supervisor) -> float | None:
    """Seconds since its last heartbeat; None where the clock was set back behind that, and nobody knows."""
    seconds = (s.clock.now() - owner.heartbeat_at) / 1000
    return seconds if seconds >= 0 else None


def _name(uuid: str, owner: Supervisor | None) -> str:
    return f"supervisor {uuid}" + (f" (pid {owner.identity.pid} on {owner.host})" if owner else "")
