"""How everything looks as JSON: camelCase, UTC times, every field always present. Pure.

One form for `--json` and for REST; the names are those of the reference. reading.py is the way back.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from supervisor.answers import Backup, Cancellation, Life, Overview, Page, Slots
from supervisor.jobtypes.records import JobType
from supervisor.lifecycle import JobStatus
from supervisor.store.records import Attempt, Job

Json = dict[str, Any]


def time(milliseconds: int | None) -> str | None:
    """`2026-01-20T12:00:00.123Z`."""
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03d}Z"


def job(record: Job) -> Json:
    document = job_without_data(record)
    document["payload"], document["result"] = _parsed(record.payload), _parsed(record.result)
    return document


def job_without_data(record: Job) -> Json:
    """What it was given and what it gave are null, in their places."""
    return {
        "id": record.id,
        "type": record.type,
        "payload": None,
        "status": str(record.status),
        "priority": record.priority,
        "attempt": record.attempt,
        "maxAttempts": record.max_attempts,
        "crashes": record.crashes,
        "processInstanceId": record.owner,
        "pid": record.pid,
        "createdAt": time(record.created_at),
        "runAt": time(record.run_at),
        "startedAt": time(record.started_at),
        "completedAt": time(record.completed_at),
        "cancelRequestedAt": time(record.cancel_requested_at),
        "progress": {"fraction": record.progress_fraction, "message": record.progress_message},
        "result": None,
        "errorMessage": record.error_message,
        "failureKind": _word(record.failure_kind),
        "exitCode": record.exit_code,
        "signal": record.signal,
    }


def attempt(record: Attempt) -> Json:
    return {
        "number": record.number,
        "processInstanceId": record.owner,
        "pid": record.child.pid,
        "identity": {"startTicks": record.child.start_ticks, "pidfdInode": record.child.pidfd_inode},
        "startedAt": time(record.started_at),
        "endedAt": time(record.ended_at),
        "status": _word(record.status),
        "failureKind": _word(record.failure_kind),
        "exitCode": record.exit_code,
        "signal": record.signal,
        "errorMessage": record.error_message,
        "traceback": record.traceback,
        "termination": record.termination,
        "usage": {
            "userSeconds": record.user_seconds,
            "systemSeconds": record.system_seconds,
            "maxRssBytes": record.max_rss_bytes,
            "peakBytes": record.peak_bytes,
        },
        "isolation": _word(record.isolation),
    }


def page(answer: Page) -> Json:
    return {
        "items": [job(each) for each in answer.items],
        "page": answer.page,
        "pageSize": answer.page_size,
        "totalCount": answer.total_count,
        "totalPages": answer.total_pages,
    }


def cancellation(answer: Cancellation, last: Attempt | None = None) -> Json:
    """The job, what the request came to, and how its last attempt was ended."""
    return {
        **job(answer.job),
        "answer": str(answer.answer),
        "termination": last.termination if last else None,
    }


def backup(made: Backup) -> Json:
    return {
        "file": str(made.file),
        "bytes": made.bytes,
        "schema": made.schema,
        "jobs": summary(made.jobs),
        "attempts": made.attempts,
        "supervisors": made.supervisors,
    }


def supervisor(life: Life) -> Json:
    record = life.record
    return {
        "processInstanceId": record.uuid,
        "pid": record.identity.pid,
        "host": record.host,
        "state": record.state,
        "startedAt": time(record.started_at),
        "heartbeatAt": time(record.heartbeat_at),
        "endedAt": time(record.ended_at),
        "version": record.version,
        "alive": life.alive,
        "isolation": _word(record.isolation),
        "identity": {
            "bootId": record.boot_id,
            "pidNamespace": record.pid_namespace,
            "startTicks": record.identity.start_ticks,
            "pidfdInode": record.identity.pidfd_inode,
        },
    }


def slots(entry: Slots) -> Json:
    return {
        "jobType": entry.job_type,
        "maxConcurrency": entry.max_concurrency,
        "inUse": entry.in_use,
        "available": entry.available,
        "waiting": entry.waiting,
    }


def summary(counts: Mapping[JobStatus, int]) -> Json:
    """`pending`, `inProgress` ... and `total`."""
    each = {status[0].lower() + status[1:]: counts.get(status, 0) for status in JobStatus}
    return {**each, "total": sum(each.values())}


def overview(answer: Overview) -> Json:
    return {
        "supervisors": [supervisor(life) for life in answer.supervisors],
        "concurrency": [slots(entry) for entry in answer.slots],
        "summary": summary(answer.counts),
        "problem": answer.problem,
        "unkillable": list(answer.unkillable),
    }


def job_type(configured: JobType) -> Json:
    """Every setting with its value, the defaults included."""
    return {_camel(field.name): _plain(getattr(configured, field.name)) for field in fields(configured)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):  # its keys are the user's own
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _word(value: str | None) -> str | None:
    return None if value is None else str(value)
