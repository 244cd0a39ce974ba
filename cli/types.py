"""asyncworker types: the job types as configured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.connection import connect
from cli.options import json_option, verb
from cli.output import show, table
from cli.wording import span
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.jobtypes.records import JobType, JobTypes


@verb("types")
@json_option
def types(at: Locations, *, as_json: bool) -> None:
    """Show the job types."""
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this verb only)

    with connect(at) as client:
        configured = client.job_types()
    document = [representation.job_type(each) for each in configured.types.values()]
    show(document, lambda: _lines(configured), as_json=as_json)


def _lines(configured: "JobTypes") -> Iterator[str]:
    rows = [
        (
            each.name,
            str(each.max_concurrency),
            "-" if each.timeout is None else span(1000 * each.timeout),
            span(1000 * each.grace),
            str(each.priority),
            _runs(each),
            each.description or "",
        )
        for each in configured.types.values()
    ]
    yield from table(("JOB TYPE", "SLOTS", "TIMEOUT", "GRACE", "PRIORITY", "RUNS", "DESCRIPTION"), rows, {})


def _runs(each: "JobType") -> str:
    return each.handler or " ".join(each.command or ())
