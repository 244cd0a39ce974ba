"""asyncworker prune: remove what has been kept long enough, now."""

from typing import TYPE_CHECKING

from cli.connection import connect
from cli.failures import INTERRUPTED
from cli.options import json_option, keep_options, option, verb
from cli.output import show, talk
from cli.wording import size
from supervisor.lifecycle import ENDED, JobStatus
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.answers import Pruned


@verb("prune")
@keep_options
@option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def prune(
    at: Locations,
    keep_completed: float,
    keep_failed: float,
    keep_cancelled: float,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove the jobs that ended longer ago than they are kept, with their attempts and logs.

    The service does so by itself. This works beside it, and without it.
    """
    latest: list[Pruned] = []
    with connect(at) as client:
        try:
            done = client.prune(
                keep_completed, keep_failed, keep_cancelled, dry_run=dry_run, on_progress=latest.append
            )
        except KeyboardInterrupt:
            talk(f"Stopped. {_sentence(latest[-1], 'Removed') if latest else 'Nothing was removed.'}")
            return INTERRUPTED
    show(
        {
            **{status.lower(): done.jobs.get(status, 0) for status in _STATUSES},
            "logBytes": done.log_bytes,
            "problem": done.problem,
            "dryRun": dry_run,
        },
        lambda: [_sentence(done, "Would remove" if dry_run else "Removed")],
        as_json=as_json,
    )
    if done.problem is not None:
        talk(done.problem)
    return 0 if done.problem is None else 1


_STATUSES = [status for status in JobStatus if status in ENDED]


def _sentence(done: "Pruned", removed: str) -> str:
    counts = [f"{done.jobs.get(status, 0)} {status}" for status in _STATUSES]
    return f"{removed} {', '.join(counts[:-1])} and {counts[-1]} jobs, and {size(done.log_bytes)} of logs."
