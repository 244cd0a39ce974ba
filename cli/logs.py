"""asyncworker logs: what a job printed."""

import os

import click

from cli.connection import connect
from cli.failures import INTERRUPTED
from cli.following import follow_output, print_output
from cli.options import option, verb
from supervisor.settings import Locations


@verb("logs")
@click.argument("job", metavar="JOB")
@option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@option("--attempt", type=click.IntRange(1, 2**31), help="Which execution; default: the last.")
@click.pass_context
def logs(context: click.Context, at: Locations, job: str, attempt: int | None, *, follow: bool) -> int:
    """Show what JOB printed."""
    if _is_our_own(context):
        attempt = None
    with connect(at) as client:
        path = client.log_path(job, attempt)
        found = client.get(job)
        if not follow or found.ended:
            print_output(client.locations, path)
            return 0
        try:
            follow_output(client, found, attempt)
        except KeyboardInterrupt:
            return INTERRUPTED
    return 0


def _is_our_own(context: click.Context) -> bool:
    """Every job finds ASYNCWORKER_ATTEMPT in its environment: there it is its own, not that of JOB."""
    source = context.get_parameter_source("attempt")
    return source is click.core.ParameterSource.ENVIRONMENT and "ASYNCWORKER_JOB_ID" in os.environ
