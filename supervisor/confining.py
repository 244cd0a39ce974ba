"""A job type -> what the kernel is to keep its jobs from."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from supervisor.jobtypes.records import JobType
from workers.confinement import Confinement

_ENDINGS = ("", "-wal", "-shm", "-owners", "-checkpointer", "-migrating")
"""Of the database's file and its companions."""


def confinement(job_type: JobType, hidden: Sequence[Path]) -> Confinement:
    """What the kernel is to keep it from. `hidden`: files and folders of the service."""
    sandbox, user = job_type.sandbox, job_type.run_as
    read_only = sandbox.read_only
    return Confinement(
        user=user.user if user else None,
        group=user.group if user else None,
        no_new_privileges=sandbox.no_new_privileges,
        network=sandbox.network,
        private_tmp=sandbox.private_tmp,
        read_only=[str(path) for path in read_only] if isinstance(read_only, tuple) else read_only,
        writable=[str(path) for path in sandbox.writable],
        hidden=[str(path) for path in hidden],
    )


def needs_pids_controller(job_type: JobType) -> bool:
    """Whether nothing else holds it to its processes. In an ordinary user's sandbox they count apart."""
    return job_type.limits.processes is not None and not (job_type.sandbox.asked and os.geteuid() != 0)


@lru_cache(maxsize=1)
def service_files(state_dir: Path, lifelines: Path, token: str | None) -> tuple[Path, ...]:
    """The state folder, the token, and the database with its companions where that lies elsewhere.

    The same for each job of a service: it takes a fifth of a millisecond to find out.
    """
    database = lifelines.with_name(lifelines.name.removesuffix("-owners"))
    beside = [database.with_name(database.name + end) for end in _ENDINGS]
    others = [*beside, *([Path(token).absolute()] if token else [])]
    return (state_dir, *(path for path in others if not path.is_relative_to(state_dir)))
