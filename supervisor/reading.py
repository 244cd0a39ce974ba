"""The way back from `representation`: JSON from the service becomes the records that the store gives. Pure.

What is read was made by `representation`. Where it was not, these raise KeyError, TypeError or ValueError.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from supervisor.answers import Cancellation, Life, Overview, Page, Slots
from supervisor.lifecycle import FailureKind, Isolation, JobStatus
from supervisor.payload import compact
from supervisor.store.records import Attempt, CancelAnswer, Job, ProcessIdentity, Start, Supervisor

Json = Mapping[str, Any]

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

NO_SEQ = 0
"""The order of submission is not part of a job's representation."""


def time(text: str) -> int:
    """Milliseconds since the epoch."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def job(document: Json) -> Job:
    status = JobStatus(document["status"])
    progress = document["progress"]
    result = document["result"]
    return Job(
        seq=NO_SEQ,
        id=document["id"],
        type=document["type"],
        payload=compact(document["payload"]),
        status=status,
        priority=document["priority"],
        attempt=document["attempt"],
        max_attempts=document["maxAttempts"],
        crashes=document["crashes"],
        run_at=_known(time, document["runAt"]),
        owner=document["processInstanceId"],
        pid=document["pid"],
        created_at=time(document["createdAt"]),
        started_at=_known(time, document["startedAt"]),
        completed_at=_known(time, document["completedAt"]),
        cancel_requested_at=_known(time, document["cancelRequestedAt"]),
        progress_fraction=_known(float, progress["fraction"]),
        progress_message=progress["message"],
        result=compact(result) if status is JobStatus.COMPLETED else None,
        error_message=document["errorMessage"],
        failure_kind=_known(FailureKind, document["failureKind"]),
        exit_code=document["exitCode"],
        signal=document["signal"],
    )


def starts(documents: Sequence[Json]) -> dict[str, Start]:
    """Job types, by name."""
    return {each["name"]: Start(each["priority"], each["retries"]["maxAttempts"]) for each in documents}


def attempt(document: Json, job_id: str) -> Attempt:
    identity, usage = document["identity"], document["usage"]
    return Attempt(
        job_id=job_id,
        number=document["number"],
        owner=document["processInstanceId"],
        child=ProcessIdentity(document["pid"], identity["startTicks"], identity["pidfdInode"]),
        started_at=time(document["startedAt"]),
        ended_at=_known(time, document["endedAt"]),
        status=_known(JobStatus, document["status"]),
        failure_kind=_known(FailureKind, document["failureKind"]),
        exit_code=document["exitCode"],
        signal=document["signal"],
        error_message=document["errorMessage"],
        traceback=document["traceback"],
        termination=document["termination"],
        user_seconds=_known(float, usage["userSeconds"]),
        system_seconds=_known(float, usage["systemSeconds"]),
        max_rss_bytes=usage["maxRssBytes"],
        peak_bytes=usage["peakBytes"],
        isolation=_known(Isolation, document["isolation"]),
    )


def page(document: Json) -> Page:
    return Page(
        items=tuple(job(each) for each in document["items"]),
        page=document["page"],
        page_size=document["pageSize"],
        total_count=document["totalCount"],
        total_pages=document["totalPages"],
    )


def cancellation(document: Json) -> Cancellation:
    return Cancellation(CancelAnswer(document["answer"]), job(document))


def supervisor(document: Json) -> Life:
    identity = document["identity"]
    record = Supervisor(
        uuid=document["processInstanceId"],
        host=document["host"],
        boot_id=identity["bootId"],
        pid_namespace=identity["pidNamespace"],
        identity=ProcessIdentity(document["pid"], identity["startTicks"], identity["pidfdInode"]),
        version=document["version"],
        state=document["state"],
        started_at=time(document["startedAt"]),
        heartbeat_at=time(document["heartbeatAt"]),
        ended_at=_known(time, document["endedAt"]),
        isolation=_known(Isolation, document["isolation"]),
    )
    return Life(record, document["alive"])


def slots(document: Json) -> Slots:
    return Slots(
        job_type=document["jobType"],
        max_concurrency=document["maxConcurrency"],
        in_use=document["inUse"],
        available=document["available"],
        waiting=document["waiting"],
    )


def summary(document: Json) -> dict[JobStatus, int]:
    """How many jobs of every status there are."""
    return {status: document[status[0].lower() + status[1:]] for status in JobStatus}


def overview(document: Json) -> Overview:
    return Overview(
        supervisors=tuple(supervisor(each) for each in document["supervisors"]),
        slots=tuple(slots(each) for each in document["concurrency"]),
        counts=summary(document["summary"]),
        problem=document["problem"],
        unkillable=tuple(document["unkillable"]),
    )


def _known(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)
