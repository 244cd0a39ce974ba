"""Records with everything filled in; a test says only what matters to it."""

from typing import Any

from supervisor.lifecycle import JobStatus
from supervisor.store.records import Job, ProcessIdentity, Supervisor

NOW = 1_700_000_000_000


def an_identity(
    pid: int = 4242, start_ticks: int = 123_456, pidfd_inode: int | None = 789
) -> ProcessIdentity:
    return ProcessIdentity(pid, start_ticks, pidfd_inode)


def a_supervisor(**other: Any) -> Supervisor:
    values: dict[str, Any] = {
        "uuid": "5f0c0000-0000-4000-8000-000000000001",
        "host": "somewhere",
        "boot_id": "b00t",
        "pid_namespace": 4_026_531_836,
        "identity": an_identity(),
        "version": "0.1.0",
        "state": "running",
        "started_at": NOW,
        "heartbeat_at": NOW,
        "ended_at": None,
    }
    return Supervisor(**values | other)


def a_job(**other: Any) -> Job:
    """Pending, unless told otherwise."""
    values: dict[str, Any] = {
        "seq": 1,
        "id": "10b00000-0000-4000-8000-000000000001",
        "type": "EmailJob",
        "payload": "{}",
        "status": JobStatus.PENDING,
        "priority": 0,
        "attempt": 0,
        "max_attempts": 1,
        "crashes": 0,
        "run_at": None,
        "owner": None,
        "pid": None,
        "created_at": NOW,
        "started_at": None,
        "completed_at": None,
        "cancel_requested_at": None,
        "progress_fraction": None,
        "progress_message": None,
        "result": None,
        "error_message": None,
        "failure_kind": None,
        "exit_code": None,
        "signal": None,
    }
    return Job(**values | other)
