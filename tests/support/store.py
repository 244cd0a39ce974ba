"""What tests of the store share: jobs put in, and processes of their own that use the same file."""

import os
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from supervisor.store import Transaction, jobs
from supervisor.store.records import Job
from tests.support.builders import NOW, an_identity

OWNER = "owner-1"


def submit(tx: Transaction, job_id: str = "job-1", **other: Any) -> Job:
    values: dict[str, Any] = {
        "type": "EmailJob",
        "payload": "{}",
        "priority": 0,
        "max_attempts": 1,
        "created_at": NOW,
    }
    return jobs.insert(tx, id=job_id, **values | other)


def start(
    tx: Transaction, job_id: str = "job-1", *, owner: str = OWNER, attempt: int = 1, **other: Any
) -> None:
    """Submit where need be, and claim."""
    if jobs.get(tx, job_id) is None:
        submit(tx, job_id, **other)
    assert jobs.claim(tx, job_id=job_id, owner=owner, attempt=attempt, child=an_identity(), now=NOW + 1)


def forked(task: Callable[[], object]) -> int:
    """The pid of a process that does it and exits with 0, or 1 where it raised.

    A fork has SQLAlchemy imported already. The database must not be open in the parent.
    """
    pid = os.fork()
    return pid or _run(task)


def _run(task: Callable[[], object]) -> NoReturn:
    status = 1
    try:
        task()
        status = 0
    except BaseException:  # noqa: BLE001 - a child of pytest's process must not go on as pytest
        traceback.print_exc()
    finally:
        os._exit(status)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
