"""What the duties of the supervisor share: one object, passed to each of them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from supervisor.children import Children
from supervisor.clock import Clock
from supervisor.jobtypes.records import JobType, JobTypes
from supervisor.journal import Journal
from supervisor.settings import Settings
from workers.frames import Frame
from workers.identity import Identity

if TYPE_CHECKING:
    from supervisor.front import Front
    from supervisor.keeping import Keeping
    from supervisor.liveness import Here
    from supervisor.notify import Notify
    from supervisor.recovery import Recovery
    from supervisor.store import Transaction


@dataclass
class Supervision:
    """One supervisor's life."""

    uuid: str
    settings: Settings
    job_types: JobTypes
    clock: Clock
    journal: Journal
    keeping: "Keeping"
    front: "Front | None"
    recovery: "Recovery"
    here: "Here"
    me: Identity
    notify: "Notify"
    children: Children = field(default_factory=Children)
    coming: JobTypes | None = None
    """Read again, and in force as soon as a keeper that has their code is ready."""
    ready: bool = False
    """Recovered, and children can be started: only now is anything claimed."""
    draining: bool = False
    """Stopping: what runs may end, nothing new begins."""
    chance: Callable[[], float] = random.random
    """From 0 to 1, for jitter."""
    due_at: float = float("inf")
    """Monotonic time at which the next Pending job that waits for its time may be claimed."""
    due_known_until: float = 0.0
    """Monotonic time at which that is to be looked up again."""
    turns: dict[tuple[str, int], float] = field(default_factory=dict)
    """By job and attempt, when those that failed here may be tried again, in monotonic seconds: `run_at` is
    told by a clock that may be set back meanwhile."""
    wanted: int = 0
    """Jobs that had a slot at the last claim and no child to run in."""
    told: dict[str, tuple[JobType, Frame]] = field(default_factory=dict)
    """By name of the type, what the child of each of its jobs is told."""
    uncertain: bool = True
    """A commit may or may not have happened: what is recorded as ours is compared with what is."""


@dataclass
class Entry:
    """One transaction of a tick, and what is to happen only once it is committed."""

    tx: "Transaction"
    effects: list[Callable[[], None]] = field(default_factory=list)

    def afterwards(self, effect: Callable[[], None]) -> None:
        self.effects.append(effect)
