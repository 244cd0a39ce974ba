"""A supervisor that dies, or loses its keeper, exactly at one step: crash_at.py POINT ROLE MARKER.

POINT is a name of POINTS. ROLE is whom SIGKILL strikes: supervisor, keeper, both at once, or the child that
the step is about. MARKER is a file that is made just before. It strikes once; where the supervisor survives,
it goes on unharmed.
The product has no hooks for this: the functions at that boundary are wrapped from here.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from supervisor import claiming, recording, recovery, serve, terminating
from supervisor.children import Child
from supervisor.journal import Event
from supervisor.loop import Loop
from supervisor.owner import Owner
from supervisor.recovery import Recovery
from supervisor.stopping import Stopping
from supervisor.store import jobs
from supervisor.store.records import Job
from supervisor.supervision import Entry, Supervision
from workers.identity import Identity

When = Callable[..., bool]


def _something_pending(s: Supervision, entry: Entry) -> bool:
    return s.ready and not s.draining and bool(jobs.pending_per_type(entry.tx))


def _something_claimed(s: Supervision, entry: Entry) -> bool:
    return len(jobs.held_by(entry.tx, owner=s.uuid)) > len(s.children.with_jobs())


def _something_ended(s: Supervision, _entry: Entry) -> bool:
    return any(child.end is not None for child in s.children.with_jobs())


def _to_be_said(event: Event) -> When:
    """Whether the transaction, the last argument, has this event among its effects."""
    return lambda *arguments: any(event in getattr(effect, "args", ()) for effect in arguments[-1].effects)


def _a_turn_has_come(s: Supervision, entry: Entry) -> bool:
    turn = jobs.next_turn(entry.tx)
    return s.ready and not s.draining and turn is not None and turn <= s.clock.now()


def _a_next_attempt_claimed(s: Supervision, entry: Entry) -> bool:
    running = {child.job.id for child in s.children.with_jobs() if child.job}
    held = jobs.held_by(entry.tx, owner=s.uuid)
    return any(job.attempt > 1 for job in held if job.id not in running)


def _of_a_next_attempt(_s: Supervision, job: Job, *_: object) -> bool:
    return job.attempt > 1


def _something_recorded(loop: Loop, entry: Entry) -> bool:
    s = _supervision(loop)
    return s is not None and _something_ended(s, entry)


def _unregistered(owner: Owner, *_: object) -> bool:
    return vars(owner)["_state"] is None


def _for_a_cancel(_s: Supervision, _child: object, reason: str, *_: object) -> bool:
    return reason == "cancel"


def _last_of_all(_stopping: Stopping, s: Supervision, *_: object) -> bool:
    return s.draining and not s.children.with_jobs()


def _always(*_: object) -> bool:
    return True


BEFORE, AFTER = "before", "after"

POINTS: dict[str, tuple[str, Any, str, When]] = {
    "before_register": (BEFORE, Owner, "beat", _unregistered),
    "after_register": (BEFORE, Loop, "_settle", _always),
    "before_claim": (BEFORE, claiming, "claim", _something_pending),
    "before_claim_commit": (AFTER, claiming, "claim", _something_claimed),
    "after_claim_commit": (BEFORE, claiming, "_assign", _always),
    "after_assign": (AFTER, claiming, "_assign", _always),
    "before_outcome": (BEFORE, recording, "record_outcomes", _something_ended),
    "before_outcome_commit": (AFTER, recording, "record_outcomes", _something_ended),
    "after_outcome_commit": (BEFORE, Loop, "_settle", _something_recorded),
    "cancel_heard": (BEFORE, terminating, "terminate", _for_a_cancel),
    "cancel_sent": (AFTER, terminating, "terminate", _for_a_cancel),
    "orphans_found": (AFTER, Recovery, "_recover", _always),
    "orphans_swept": (BEFORE, recovery, "_settle", _always),
    "orphans_settled": (AFTER, recovery, "_settle", _always),
    "orphans_recorded": (BEFORE, Loop, "_settle", _to_be_said(Event.ORPHANS_RECOVERED)),
    "before_again_commit": (AFTER, recording, "record_outcomes", _to_be_said(Event.JOB_TRIED_AGAIN)),
    "after_again_commit": (BEFORE, Loop, "_settle", _to_be_said(Event.JOB_TRIED_AGAIN)),
    "before_next_claim": (BEFORE, claiming, "claim", _a_turn_has_come),
    "before_next_claim_commit": (AFTER, claiming, "claim", _a_next_attempt_claimed),
    "after_next_claim_commit": (BEFORE, claiming, "_assign", _of_a_next_attempt),
    "after_next_assign": (AFTER, claiming, "_assign", _of_a_next_attempt),
    "last_outcome_recorded": (BEFORE, Stopping, "deregister", _last_of_all),
    "deregistered": (BEFORE, Stopping, "leave", _always),
}


Strike = Callable[..., None]


def wrap(point: str, strike: Strike) -> None:
    """Have `strike` called with the arguments of the step, whenever the point is reached."""
    moment, home, name, when = POINTS[point]
    original = getattr(home, name)

    @wraps(original)
    def wrapped(*arguments: Any) -> Any:
        if moment == BEFORE and when(*arguments):
            strike(*arguments)
        answer = original(*arguments)
        if moment == AFTER and when(*arguments):
            strike(*arguments)
        return answer

    setattr(home, name, wrapped)


def once(role: str, marker: Path) -> Strike:
    """The first call kills."""

    def strike(*arguments: object) -> None:
        if marker.exists():
            return
        marker.touch()
        if role == "child":
            _kill(next(each for each in arguments if isinstance(each, Child)).identity)
        link = next(s for each in arguments if (s := _supervision(each))).keeping.link
        if role in ("keeper", "both") and link is not None:
            os.kill(link.pid, signal.SIGKILL)
        if role in ("supervisor", "both"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif role == "keeper" and link is not None:
            # Dead beyond doubt before the next step, and not collected: that is the supervisor's to do.
            os.waitid(os.P_PID, link.pid, os.WEXITED | os.WNOWAIT)

    return strike


def _supervision(argument: object) -> Supervision | None:
    if isinstance(argument, Loop):
        argument = vars(argument)["_s"]
    return argument if isinstance(argument, Supervision) else None


def _kill(child: Identity | None) -> None:
    assert child is not None
    child.send(signal.SIGKILL)
    while child.exists():  # until its keeper, which knows it by then, has collected it
        time.sleep(0.001)


if __name__ == "__main__":
    wrap(sys.argv[1], once(sys.argv[2], Path(sys.argv[3])))
    raise SystemExit(serve.serve())
