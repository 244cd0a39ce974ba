"""A claimed job and its type -> what its child is told."""

import os
from collections.abc import Mapping
from pathlib import Path

from supervisor.confining import confinement, service_files
from supervisor.jobtypes.records import JobType
from supervisor.store.records import Job
from supervisor.supervision import Supervision
from workers.assignment import Assignment
from workers.frames import Frame
from workers.limits import Limits
from workers.trees import COOKIE

_MINIMAL = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_NEVER = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY", "ASYNCWORKER_", "INVOCATION_ID")
"""The service's own: with these a job could speak to systemd, or with us, in the service's name."""


_OF_A_USER = ("HOME", "LOGNAME", "SHELL", "TMPDIR", "USER")
"""Those of the service's user mislead a job that runs as another; the child sets that user's."""


def assignment(s: Supervision, job: Job, job_type: JobType) -> Frame:
    """Everything the child needs to know, as it goes through the gate: an Assignment."""
    where, common = s.settings.locations, _common(s, job_type)
    directory = job_type.working_directory or where.working_directory_of(job.id, job.attempt)
    own = {
        "ASYNCWORKER_JOB_ID": job.id,
        "ASYNCWORKER_ATTEMPT": str(job.attempt),
        COOKIE: s.keeping.cookie,  # another one after each keeper
    }
    return common | {
        "job_id": job.id,
        "attempt": job.attempt,
        "payload": job.payload,
        "log": str(where.log_of(job.id, job.attempt)),
        "directory": str(directory),
        "environment": common["environment"] | own,
    }


def _common(s: Supervision, job_type: JobType) -> Frame:
    """What is the same for each of its jobs: to put it together takes ten times as long as the rest."""
    known = s.told.get(job_type.name)
    if known is None or known[0] is not job_type:
        known = s.told[job_type.name] = job_type, _common_of(s, job_type).to_frame()
    return known[1]


def _common_of(s: Supervision, job_type: JobType) -> Assignment:
    where, token = s.settings.locations, os.environ.get("ASYNCWORKER_TOKEN_FILE")
    return Assignment(
        job_id="",
        job_type=job_type.name,
        attempt=0,
        payload="",
        options=dict(job_type.options),
        handler=job_type.handler,
        command=_command(job_type, s.job_types.source.parent),
        import_paths=[str(path) for path in s.job_types.import_paths],
        log="",
        output_limit=job_type.limits.output,
        directory="",
        private_directory=job_type.working_directory is None,
        environment=environment(job_type, os.environ) | {"ASYNCWORKER_JOB_TYPE": job_type.name},
        nice=job_type.nice,
        timeout=job_type.timeout,
        grace=job_type.grace,
        confinement=confinement(job_type, service_files(where.state_dir, s.here.lifelines, token)),
        limits=limits(job_type),
    )


def limits(job_type: JobType) -> Limits:
    """What it may use."""
    given = job_type.limits
    return Limits(given.memory, given.cpu_time, given.processes, given.open_files, given.file_size)


def environment(job_type: JobType, ours: Mapping[str, str]) -> dict[str, str]:
    """The minimal set, what the type inherits, what it sets; never what is the service's own."""
    inherit = job_type.env.inherit
    wanted = set(ours) if inherit == "all" else set(inherit)
    passed = {name: ours[name] for name in wanted if name in ours and not name.startswith(_NEVER)}
    known = minimal_environment(ours) | passed
    if job_type.run_as:
        known = {name: text for name, text in known.items() if name not in _OF_A_USER}
    return known | dict(job_type.env.set)


def minimal_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What every job finds, and the keeper too, so that a preloaded module has read the same."""
    return {name: value for name, value in ours.items() if name in _MINIMAL or name.startswith("LC_")}


def _command(job_type: JobType, folder: Path) -> list[str] | None:
    """A program given with a slash is relative to the file that names it, as in a shell script beside it."""
    if job_type.command is None:
        return None
    program, *arguments = job_type.command
    return [str(folder / program) if "/" in program else program, *arguments]
