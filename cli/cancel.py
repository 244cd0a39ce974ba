"""asyncworker cancel: end jobs, and say what it took."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cli.connection import connect
from cli.failures import INTERRUPTED
from cli.options import json_option, option, verb
from cli.output import say, show, talk
from cli.wording import termination
from supervisor.errors import NoSupervisor
from supervisor.lifecycle import JobStatus
from supervisor.settings import Locations
from supervisor.store.records import CancelAnswer

if TYPE_CHECKING:
    from supervisor.answers import Cancellation
    from supervisor.client import Client
    from supervisor.store.records import Attempt

_LIVING = [JobStatus.PENDING.value, JobStatus.IN_PROGRESS.value]


@verb("cancel")
@click.argument("jobs", metavar="[JOB...]", nargs=-1)
@option("--type", "job_type", metavar="TYPE", help="Instead of JOB: all of this type.")
@option(
    "--status", type=click.Choice(_LIVING, case_sensitive=False), help="Instead of JOB: all of this status."
)
@option("--no-wait", is_flag=True, help="Do not wait for the end.")
@json_option
def cancel(
    at: Locations,
    jobs: tuple[str, ...],
    job_type: str | None,
    status: str | None,
    *,
    no_wait: bool,
    as_json: bool,
) -> int:
    """End every JOB, or all that the filters choose, and say what it took."""
    chosen = None if status is None else JobStatus(status)
    if bool(jobs) == bool(job_type or chosen):
        raise click.UsageError("Give either JOB... or a filter: --type, --status or both.")
    requested: list[Cancellation] = []
    with connect(at) as client:
        try:
            for some in _given(client, jobs) if jobs else client.cancelling(job_type, chosen):
                requested += some if as_json else map(_without_payload, some)
        except KeyboardInterrupt:
            talk(f"Interrupted; the request to cancel {_number(len(requested))} is on record and stands.")
            return INTERRUPTED
        if not requested:
            talk("There are no such jobs to cancel.")
        return _finish(client, requested, no_wait=no_wait, as_json=as_json)


def _given(client: "Client", jobs: tuple[str, ...]) -> "Iterator[list[Cancellation]]":
    # All are looked up before the first is cancelled: a mistake must not leave half of it done.
    ids = dict.fromkeys([client.get(job).id for job in jobs])
    return ([client.cancel(job_id)] for job_id in ids)


def _without_payload(each: "Cancellation") -> "Cancellation":
    """For people it is not shown, and those of thousands of jobs are long."""
    return replace(each, job=replace(each.job, payload="null"))


def _number(jobs: int) -> str:
    return "1 job" if jobs == 1 else f"{jobs} jobs"


def _finish(client: "Client", requested: "list[Cancellation]", *, no_wait: bool, as_json: bool) -> int:
    """Wait for what is still running, say what became of everything, and give the exit code."""
    running = [each.job.id for each in requested if not each.job.ended]
    if no_wait or not running:
        return _tell(client, requested, as_json=as_json)
    try:
        ended = {job.id: job for job in client.wait(running)}
    except KeyboardInterrupt:
        talk("Stopped waiting; the request to cancel stands.")
        return INTERRUPTED
    except NoSupervisor as error:
        _tell(client, [replace(each, job=client.get(each.job.id)) for each in requested], as_json=as_json)
        raise NoSupervisor(
            "no service is running to end what is InProgress; the request is recorded and takes effect "
            "when one is started with: asyncworker serve"
        ) from error
    return _tell(
        client, [replace(each, job=ended.get(each.job.id, each.job)) for each in requested], as_json=as_json
    )


def _tell(client: "Client", cancellations: "list[Cancellation]", *, as_json: bool) -> int:
    told = [(each, _last_attempt(client, each)) for each in cancellations]
    if as_json:
        show(_documents(told), list, as_json=True)
    failures = [each for each in cancellations if each.job.ended and not _is_cancelled(each)]
    for each, last in told:
        if each in failures:
            talk(_too_late(each))
        elif not as_json:
            say(_sentence(each, last))
    return 1 if failures else 0


def _is_cancelled(each: "Cancellation") -> bool:
    """Cancelled now, and because of a request: not one that had been Cancelled long before."""
    return each.job.status is JobStatus.CANCELLED and each.answer is not CancelAnswer.ALREADY_ENDED


def _sentence(each: "Cancellation", last: "Attempt | None") -> str:
    name = f"{each.job.type} {each.job.id}"
    if not each.job.ended:
        return f"Cancel requested: {name}"
    if each.answer is CancelAnswer.CANCELLED:
        return f"Cancelled {name}: it had not begun"
    how = last.termination if last else None
    return f"Cancelled {name}: {termination(how)}" if how else f"Cancelled {name}"


def _too_late(each: "Cancellation") -> str:
    if each.answer is CancelAnswer.ALREADY_ENDED:
        return f"Job {each.job.id} had already ended: it is {each.job.status}."
    return f"Job {each.job.id} ended before the cancel reached it: it is {each.job.status}."


def _last_attempt(client: "Client", each: "Cancellation") -> "Attempt | None":
    if not each.job.ended or not each.job.attempt or each.answer is CancelAnswer.CANCELLED:
        return None
    attempts = client.attempts(each.job.id)
    return attempts[-1] if attempts else None


def _documents(told: "Iterable[tuple[Cancellation, Attempt | None]]") -> list[dict[str, Any]]:
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this form only)

    return [representation.cancellation(each, last) for each, last in told]
