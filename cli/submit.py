"""asyncworker submit: a new job, and if wanted, its end."""

from importlib import import_module
from typing import TYPE_CHECKING

import click

from cli.connection import connect
from cli.failures import INTERRUPTED
from cli.harmless import json_safe
from cli.options import json_option, option, verb
from cli.output import say, show, talk
from cli.payload_argument import read_payload
from cli.streams import OutputLost
from supervisor.errors import NoSupervisor
from supervisor.lifecycle import JobStatus
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.store.records import Job

_PRIORITIES = click.IntRange(-(2**31), 2**31 - 1)


@verb("submit")
@click.argument("job_type", metavar="TYPE")
@click.argument("payload", metavar="[PAYLOAD]", required=False)
@option("--priority", type=_PRIORITIES, help="Larger runs first; default: what the job type says.")
@option("--wait", is_flag=True, help="Wait for the end: exit code 0 if it Completed, else 1.")
@option("--follow", is_flag=True, help="Wait, and show what the job prints.")
@option("--quiet", "-q", is_flag=True, help="Print the id alone.")
@json_option
def submit(
    at: Locations,
    job_type: str,
    payload: str | None,
    priority: int | None,
    *,
    wait: bool,
    follow: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Submit a job of TYPE.

    PAYLOAD is JSON, @FILE, or - for standard input; without it, null.
    """
    if follow and as_json:
        raise click.UsageError("--follow shows the job's output, so it cannot be together with --json.")
    value = read_payload(payload)
    if wait or follow:
        # Before there is a job: where Ctrl-C breaks off an import while it makes a dataclass, by exec
        # of text, Python will end by that signal, whatever exit code it is asked for.
        for name in ("following", "live", "wording"):
            import_module(f"cli.{name}")
    with connect(at) as client:
        try:
            job = client.submit(job_type, value, priority=priority)
        except KeyboardInterrupt:
            talk("Interrupted; the job may have been submitted: see asyncworker list")
            return INTERRUPTED
        try:
            return _tell(client, job, wait=wait, follow=follow, quiet=quiet, as_json=as_json)
        except OutputLost as error:
            raise OutputLost(error.cause, f"job {job.id} was submitted, but ") from error


def _tell(client: "Client", job: "Job", *, wait: bool, follow: bool, quiet: bool, as_json: bool) -> int:
    try:
        if quiet or not as_json:
            say(job.id if quiet else f"Submitted {job.type} {job.id}")
        if wait or follow:
            return _wait(client, job, follow=follow, bare=quiet or as_json)
        return _leave(client, quiet=quiet)
    except KeyboardInterrupt:
        talk(f"Stopped waiting; job {job.id} goes on. Cancel it with: asyncworker cancel {job.id}")
        return INTERRUPTED
    finally:
        if as_json and not quiet:
            _show(client.get(job.id) if wait else job)


def _leave(client: "Client", *, quiet: bool) -> int:
    if not quiet and not client.has_supervisor():
        talk("No service is running: it will run once one is started with: asyncworker serve")
    return 0


def _wait(client: "Client", job: "Job", *, follow: bool, bare: bool) -> int:
    # Imported already; who does not wait does without them.
    from cli.following import follow_output  # noqa: PLC0415
    from cli.live import watch_live  # noqa: PLC0415
    from cli.wording import ending  # noqa: PLC0415

    try:
        ended = follow_output(client, job) if follow else watch_live(client, [job.id])[0]
    except NoSupervisor as error:
        raise NoSupervisor(_abandoned(client.get(job.id))) from error
    completed = ended.status is JobStatus.COMPLETED
    if not (bare and completed):
        talk(ending(ended))
    if not bare and ended.result not in (None, "null"):
        say(json_safe(ended.result))
    return 0 if completed else 1


def _abandoned(job: "Job") -> str:
    if job.status is JobStatus.PENDING:
        return f"job {job.id} stays submitted, but no service is running; start one with: asyncworker serve"
    return f"job {job.id} had begun, but its service is gone; the next will settle it: asyncworker serve"


def _show(job: "Job") -> None:
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this form only)

    show(representation.job(job), list, as_json=True)
