# ruff: noqa: D101 - the names of the shapes say what they are
"""The shapes of all answers, for the reference alone: what is sent is made by representation.py."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-20T12:00:00.123Z"])]
Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Count = Annotated[int, Field(ge=0)]

Status = Literal["Pending", "InProgress", "Completed", "Failed", "Cancelled"]
Isolation = Literal["namespace", "cgroup", "tree"]
FailureKind = Literal[
    "raised",
    "exited",
    "signalled",
    "out_of_memory",
    "timed_out",
    "owner_died",
    "host_rebooted",
    "keeper_died",
    "not_started",
    "bad_result",
]


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True, extra="forbid")


class Progress(Shape):
    fraction: float | None
    """From 0 to 1."""
    message: str | None


class Job(Shape):
    id: Id
    type: str
    payload: JsonValue
    """As it was sent."""
    status: Status
    priority: int
    """Larger runs first."""
    attempt: Count
    """Number of the current or last attempt; 0 before the first."""
    max_attempts: Annotated[int, Field(ge=1)]
    """As its type said at the submit, and one more for each attempt that did not count."""
    crashes: Count
    """Attempts that a signal, the lack of memory or the end of the service has ended."""
    process_instance_id: Id | None
    """The supervisor that runs it, or ran it last."""
    pid: int | None
    created_at: Time
    run_at: Time | None
    """Where it waits for its next attempt: when that may begin."""
    started_at: Time | None
    completed_at: Time | None
    """When it ended, however it ended."""
    cancel_requested_at: Time | None
    progress: Progress
    result: JsonValue
    """What the handler returned, where it is Completed."""
    error_message: str | None
    failure_kind: FailureKind | None
    exit_code: int | None
    signal: int | None


class Page(Shape):
    items: list[Job]
    page: Annotated[int, Field(ge=1)]
    page_size: Annotated[int, Field(ge=1, le=100)]
    total_count: Count
    total_pages: Count


class Usage(Shape):
    user_seconds: float | None
    system_seconds: float | None
    max_rss_bytes: int | None
    """Of its largest process."""
    peak_bytes: int | None
    """Of all its processes together, where the kernel counts that."""


class ProcessIdentity(Shape):
    start_ticks: int
    pidfd_inode: int | None


class Attempt(Shape):
    number: Annotated[int, Field(ge=1)]
    process_instance_id: Id
    pid: int
    identity: ProcessIdentity
    """What tells this process from a later one with the same pid."""
    started_at: Time
    ended_at: Time | None
    status: Status | None
    failure_kind: FailureKind | None
    exit_code: int | None
    signal: int | None
    error_message: str | None
    traceback: str | None
    termination: dict[str, Any] | None
    """What it took to end it: signals, seconds, processes killed."""
    usage: Usage
    isolation: Isolation | None
    """By what its processes were held together."""


class ProcessStatus(Shape):
    process_instance_id: Id | None
    """Null, like all else, where no supervisor is alive."""
    pid: int | None
    host: str | None
    state: str | None
    started_at: Time | None
    heartbeat_at: Time | None
    version: str | None
    isolation: Isolation | None
    """By what it holds the processes of a job together."""
    others: list["Supervisor"]


class SupervisorIdentity(ProcessIdentity):
    boot_id: str
    pid_namespace: int


class Supervisor(Shape):
    process_instance_id: Id
    pid: int
    host: str
    state: str
    started_at: Time
    heartbeat_at: Time
    ended_at: Time | None
    version: str
    alive: bool | None
    """Null where that cannot be judged from here."""
    isolation: Isolation | None
    identity: SupervisorIdentity


class Slots(Shape):
    job_type: str
    max_concurrency: int | None
    """Null where the type is not configured any more."""
    in_use: Count
    available: Count | None
    waiting: Count


class Summary(Shape):
    pending: Count
    in_progress: Count
    completed: Count
    failed: Count
    cancelled: Count
    total: Count


class Overview(Shape):
    supervisors: list[Supervisor]
    concurrency: list[Slots]
    summary: Summary
    problem: str | None
    """Why the limits are not known, where they are not."""
    unkillable: list[Id]
    """Jobs with processes that are there in spite of SIGKILL: they keep their slots."""


class Condition(Shape):
    status: Literal["alive", "ready"]


class FieldError(Shape):
    field: str
    message: str


class Problem(Shape):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    """Each field that is wrong."""
