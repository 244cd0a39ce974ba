"""The life of a job: its statuses, the edges between them, and the reasons to fail.

This table is the law. The database's constraints are made from it, and the picture in
docs/lifecycle.md is tested against it.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is in its life; exactly these words are used everywhere."""

    PENDING = "Pending"
    """Submitted, durable, waiting for a slot. A supervisor moves it on by claiming it."""
    IN_PROGRESS = "InProgress"
    """Claimed: an owner, an attempt and the identity of its child are on record."""
    COMPLETED = "Completed"
    """It returned, and the result is on record."""
    FAILED = "Failed"
    """It ended in any other way of its own; the failure kind says which."""
    CANCELLED = "Cancelled"
    """Somebody asked for its end, and nothing of it is alive."""


NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.IN_PROGRESS, JobStatus.CANCELLED}),
    JobStatus.IN_PROGRESS: frozenset(
        {JobStatus.PENDING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset({JobStatus.PENDING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING}),
    JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
}
"""The edges. InProgress -> Pending: an attempt that never began, or is followed by another by itself.
From the ended statuses to Pending: somebody asks for another attempt."""

ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
"""The statuses that a job does not leave by itself."""


class FailureKind(StrEnum):
    """Why a job failed, or how an attempt ended badly."""

    RAISED = "raised"
    """The handler raised; message and traceback are kept."""
    EXITED = "exited"
    """It left with an exit code of its own: not 0, or 0 without having returned."""
    SIGNALLED = "signalled"
    """A signal that we did not send killed it."""
    OUT_OF_MEMORY = "out_of_memory"
    """Over its memory limit, or chosen by the kernel's out-of-memory killer."""
    TIMED_OUT = "timed_out"
    """It ran longer than its type's timeout."""
    OWNER_DIED = "owner_died"
    """Its supervisor was gone; the message names its UUID, pid and host."""
    HOST_REBOOTED = "host_rebooted"
    """Likewise, and the host has booted since."""
    KEEPER_DIED = "keeper_died"
    """The keeper, which holds the children, was gone while its supervisor lived."""
    NOT_STARTED = "not_started"
    """The handler could not be imported, or the child could not be set up."""
    BAD_RESULT = "bad_result"
    """What it returned is no JSON, or over 1 MiB."""


class Isolation(StrEnum):
    """By what the processes of a job are held together, so that none is left: the strongest that there is."""

    NAMESPACE = "namespace"
    """A PID namespace of the job's own: the kernel ends all of it with its first process."""
    CGROUP = "cgroup"
    """A control group of the job's own: the kernel ends all of it at once, and tells when it is empty."""
    TREE = "tree"
    """Its place below the keeper, its session, its environment: found, stopped, killed, looked for again."""


OWNER_DEATHS = frozenset({FailureKind.OWNER_DIED, FailureKind.HOST_REBOOTED, FailureKind.KEEPER_DIED})
"""What happened to the service and not to the job: whether it runs again, `on_owner_death` says."""

CRASHES = OWNER_DEATHS | {FailureKind.SIGNALLED, FailureKind.OUT_OF_MEMORY}
"""What a job may have done to its process, or to ours: `max_crashes` bounds how often it gets another."""
