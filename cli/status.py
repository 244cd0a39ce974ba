"""asyncworker status: the service, or everything about one job."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from cli.attempts import attempt_lines
from cli.connection import connect
from cli.harmless import json_safe, one_line
from cli.options import json_option, verb
from cli.output import show, table, talk
from cli.stranded import REMARK, sentences, stranded
from cli.wording import progress, span, took, turn, when, why
from supervisor.lifecycle import JobStatus
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.answers import Life, Overview
    from supervisor.store.records import Attempt, Job

_LONGEST = 2000
"""Characters of a payload or a result for people to see; --json gives all."""


@verb("status")
@click.argument("job", metavar="[JOB]", required=False)
@json_option
def status(at: Locations, job: str | None, *, as_json: bool) -> None:
    """Show supervisors, slots and counts; of a JOB, everything that is known."""
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this verb only)

    with connect(at) as client:
        if job is None:
            seen = client.overview()
            show(representation.overview(seen), lambda: _overview(seen), as_json=as_json)
            if seen.problem:
                talk(f"The job types cannot be read, so limits are missing or old: {seen.problem}")
            return
        found = client.get(job)
        attempts = client.attempts(found.id)
        waits = REMARK if not as_json and stranded(client, [found]) else _unkillable(attempts)
    document = representation.job(found)
    document["attempts"] = [representation.attempt(each) for each in attempts]
    show(document, lambda: [*_job(found, waits), *attempt_lines(attempts, at)], as_json=as_json)


def _overview(seen: "Overview") -> Iterator[str]:
    if not any(life.alive is not False for life in seen.supervisors):
        yield "No service is running; start one with: asyncworker serve"
    if seen.supervisors:
        yield from table(
            ("SUPERVISOR", "PID", "HOST", "STATE", "SINCE", "HEARTBEAT", "ISOLATION"),
            map(_life, seen.supervisors),
            {},
        )
        yield ""
    slots = [
        (s.job_type, _number(s.max_concurrency), str(s.in_use), _number(s.available), str(s.waiting))
        for s in seen.slots
    ]
    if slots:
        yield from table(("JOB TYPE", "SLOTS", "IN USE", "AVAILABLE", "WAITING"), slots, {})
        yield ""
    yield from sentences(seen)
    for job in seen.unkillable:
        yield f"Job {job} cannot be killed, and keeps its slot; see: asyncworker status {job}"
    yield ", ".join(f"{count} {status}" for status, count in seen.counts.items())


def _life(life: "Life") -> tuple[str, ...]:
    record = life.record
    gone = record.ended_at is None and life.alive is False
    state = f"{record.state}, but gone" if gone else record.state
    unknown = " (cannot be judged from here)" if life.alive is None else ""
    beat = span(time.time_ns() // 1_000_000 - record.heartbeat_at)
    return (
        record.uuid,
        str(record.identity.pid),
        record.host,
        state + unknown,
        when(record.started_at),
        f"{beat} ago",
        str(record.isolation or "-"),
    )


def _job(job: "Job", waits: str) -> Iterator[str]:
    now = time.time_ns() // 1_000_000
    facts = {
        "Job": job.id,
        "Type": job.type,
        "Status": ", ".join([str(job.status), *_further(job, now), *([waits] if waits else [])]),
        "Why": why(job) if job.ended else "",
        "Progress": progress(job),
        "Result": _short(job.result),
        "Payload": _short(job.payload),
        "Priority": str(job.priority) if job.priority else "",
        "Submitted": when(job.created_at),
        "Started": when(job.started_at) if job.started_at else "",
        "Ended": when(job.completed_at) if job.completed_at else "",
        "Ran": took(job, now) if job.started_at else "",
        "Cancelled": f"requested {when(job.cancel_requested_at)}" if job.cancel_requested_at else "",
        "Attempts": f"{job.attempt} of {job.max_attempts}" if job.attempt else "",
        "Crashes": str(job.crashes) if job.crashes else "",
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name + ':':<12}{one_line(fact)}"


def _unkillable(attempts: "Sequence[Attempt]") -> str:
    tried = attempts[-1] if attempts else None
    return "cannot be killed" if tried and tried.status is None and tried.termination else ""


def _further(job: "Job", now: int) -> Iterator[str]:
    """What there is to come."""
    if job.cancel_requested_at and not job.ended:
        yield "cancel requested"
    if job.status is JobStatus.PENDING and job.attempt:
        left = job.max_attempts - job.attempt
        yield f"tried again {turn(job, now)}"
        yield f"{left} attempt{'' if left == 1 else 's'} left"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _short(text: str | None) -> str:
    text = json_safe(text or "")
    return (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters; all with --json)"
    )
