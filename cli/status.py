"""asyncworker status: the service, or everything about one job."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.connection import connect
from cli.harmless import harmless, json_safe, one_line
from cli.options import json_option, verb
from cli.output import show, table, talk
from cli.wording import progress, span, termination, took, when, why
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
    document = representation.job(found)
    document["attempts"] = [representation.attempt(each) for each in attempts]
    show(document, lambda: [*_job(found), *_attempts(attempts)], as_json=as_json)


def _overview(seen: "Overview") -> Iterator[str]:
    if not any(life.alive is not False for life in seen.supervisors):
        yield "No service is running; start one with: asyncworker serve"
    if seen.supervisors:
        yield from table(
            ("SUPERVISOR", "PID", "HOST", "STATE", "SINCE", "HEARTBEAT"), map(_life, seen.supervisors), {}
        )
        yield ""
    slots = [
        (s.job_type, _number(s.max_concurrency), str(s.in_use), _number(s.available), str(s.waiting))
        for s in seen.slots
    ]
    if slots:
        yield from table(("JOB TYPE", "SLOTS", "IN USE", "AVAILABLE", "WAITING"), slots, {})
        yield ""
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
    )


def _job(job: "Job") -> Iterator[str]:
    now = time.time_ns() // 1_000_000
    facts = {
        "Job": job.id,
        "Type": job.type,
        "Status": f"{job.status}{', cancel requested' if job.cancel_requested_at and not job.ended else ''}",
        "Why": why(job),
        "Progress": progress(job),
        "Result": _short(job.result),
        "Payload": _short(job.payload),
        "Priority": str(job.priority) if job.priority else "",
        "Submitted": when(job.created_at),
        "Started": when(job.started_at) if job.started_at else "",
        "Ended": when(job.completed_at) if job.completed_at else "",
        "Ran": took(job, now) if job.started_at else "",
        "Cancelled": f"requested {when(job.cancel_requested_at)}" if job.cancel_requested_at else "",
        "Process": str(job.pid) if job.pid and not job.ended else "",
        "Supervisor": job.owner or "",
        "Attempt": f"{job.attempt} of {job.max_attempts}" if job.attempt else "",
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name + ':':<12}{one_line(fact)}"


def _attempts(attempts: "list[Attempt]") -> Iterator[str]:
    for each in attempts:
        ran = f", ran {span(each.ended_at - each.started_at)}" if each.ended_at else ""
        yield ""
        yield f"Attempt {each.number}: {each.status or 'running'}, began {when(each.started_at)}{ran}"
        code = "" if each.exit_code is None else str(each.exit_code)
        facts = {
            "process": str(each.child.pid),
            "supervisor": each.owner,
            "why": why(each),
            "exit code": code,
            "signal": "" if each.signal is None else str(each.signal),
            "ended by": _ended_by(each),
            "used": _used(each),
        }
        for name, fact in facts.items():
            if fact:
                yield f"  {name + ':':<12}{one_line(fact)}"
        if each.traceback:
            yield from (f"  | {line}" for line in harmless(each.traceback).splitlines())


def _ended_by(attempt: "Attempt") -> str:
    how = attempt.termination
    return f"{how.get('reason', 'us')}: {termination(how)}" if how else ""


def _used(attempt: "Attempt") -> str:
    if attempt.user_seconds is None or attempt.system_seconds is None or attempt.max_rss_bytes is None:
        return ""
    processor = span(1000 * (attempt.user_seconds + attempt.system_seconds))
    return f"{processor} of processor time, {attempt.max_rss_bytes / 2**20:.0f} MiB at most"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _short(text: str | None) -> str:
    text = json_safe(text or "")
    return (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters; all with --json)"
    )
