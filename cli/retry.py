"""asyncworker retry: have jobs that have ended run once more."""

import click

from cli.connection import connect
from cli.options import json_option, verb
from cli.output import say, show, talk
from supervisor.errors import JobNotEnded
from supervisor.settings import Locations


@verb("retry")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@json_option
def retry(at: Locations, jobs: tuple[str, ...], *, as_json: bool) -> int:
    """Have every JOB, which must have ended, run once more.

    It keeps its id, and its earlier attempts stay on record.
    """
    with connect(at) as client:
        # All are looked up before the first is retried: a mistake must not leave half of it done.
        ids = dict.fromkeys([client.get(job).id for job in jobs])
        retried, refused = [], []
        for job_id in ids:
            try:
                retried.append(client.retry(job_id))
            except JobNotEnded as error:
                refused.append(str(error))
    if as_json:
        from supervisor import representation  # noqa: PLC0415  (JSON and dates, for this form only)

        show([representation.job(job) for job in retried], list, as_json=True)
    else:
        for job in retried:
            say(f"{job.type} {job.id} is {job.status} again, after {_attempts(job.attempt)}")
    for sentence in refused:
        talk(sentence)
    return 1 if refused else 0


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"
