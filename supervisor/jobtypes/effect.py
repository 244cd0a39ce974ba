"""Keys that are understood and checked already, but do nothing yet."""

from supervisor.jobtypes.records import JobType, JobTypes

_UNSAFE = "is NOT enforced yet in this version"

WITHOUT_EFFECT = {
    "limits.memory": _UNSAFE,
    "limits.cpu_time": _UNSAFE,
    "limits.processes": _UNSAFE,
    "limits.open_files": _UNSAFE,
    "limits.file_size": _UNSAFE,
}
"""Key (`key: value` where only that value is without effect) -> what to say.

Whoever delivers a key deletes its line.
"""


def without_effect(job_types: JobTypes) -> list[str]:
    """One sentence for each such key that the file uses, naming the job types."""
    sentences = []
    for key, what in WITHOUT_EFFECT.items():
        names = [job_type.name for job_type in job_types.types.values() if _uses(job_type, key)]
        if names:
            sentences.append(f"{key} ({', '.join(names)}) {what}")
    return sentences


def _uses(job_type: JobType, entry: str) -> bool:
    key, _, value = entry.partition(": ")
    return key in job_type.given and (not value or getattr(job_type, key) == value)
