"""asyncworker wait: until all have ended."""

import click

from cli.connection import connect
from cli.failures import INTERRUPTED
from cli.live import watch_live
from cli.options import duration, option, verb
from cli.output import say, talk
from cli.wording import ending
from supervisor.lifecycle import JobStatus
from supervisor.settings import Locations


@verb("wait")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@option("--timeout", type=duration, metavar="DURATION", help="Give up after this long.")
def wait(at: Locations, jobs: tuple[str, ...], timeout: float | None) -> int:
    """Wait until every JOB has ended: exit code 0 if all Completed, else 1."""
    with connect(at) as client:
        try:
            ids = [client.get(job).id for job in jobs]
            ended = watch_live(client, ids, timeout, tell=lambda job: say(ending(job)))
        except KeyboardInterrupt:
            talk("Stopped waiting; what has not ended goes on.")
            return INTERRUPTED
    return 0 if all(job.status is JobStatus.COMPLETED for job in ended) else 1
