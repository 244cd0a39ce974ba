"""asyncworker list: the jobs, newest first."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.connection import connect
from cli.options import json_option, option, verb
from cli.output import show, table, talk
from cli.stranded import REMARK, stranded
from cli.wording import COLOURS, remark, took, when
from supervisor.lifecycle import JobStatus
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.answers import Page

_FURTHEST = 10**12


@verb("list")
@option(
    "--status",
    type=click.Choice([each.value for each in JobStatus], case_sensitive=False),
    help="Only jobs of this status.",
)
@option("--type", "job_type", metavar="TYPE", help="Only jobs of this type.")
@option("--page", type=click.IntRange(1, _FURTHEST), default=1, show_default=True, help="Which page.")
@option("--page-size", type=click.IntRange(1, 100), default=20, show_default=True, help="Jobs on a page.")
@json_option
def list_(
    at: Locations, status: JobStatus | None, job_type: str | None, page: int, page_size: int, *, as_json: bool
) -> None:
    """Show the jobs, newest first."""
    from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this verb only)

    chosen = None if status is None else JobStatus(status)
    with connect(at) as client:
        found = client.list(status=chosen, type=job_type, page=page, page_size=page_size)
        waits = set() if as_json else stranded(client, found.items)
    show(representation.page(found), lambda: _lines(found, waits), as_json=as_json)
    if not found.items and not as_json:
        talk(_nothing(found))
    elif found.total_pages > 1 and not as_json:
        talk(f"page {found.page} of {found.total_pages}, {found.total_count} jobs in all")


def _lines(found: "Page", waits: set[str]) -> Iterator[str]:
    now = time.time_ns() // 1_000_000
    rows = [
        (job.id, job.type, str(job.status), when(job.created_at), took(job, now), note)
        for job in found.items
        for note in [REMARK if job.id in waits else remark(job, now)]
    ]
    if rows:
        yield from table(("ID", "TYPE", "STATUS", "SUBMITTED", "RAN", "REMARK"), rows, COLOURS)


def _nothing(found: "Page") -> str:
    if found.total_count:
        return f"There is no page {found.page}: there are {found.total_pages}."
    return "There are no such jobs."
