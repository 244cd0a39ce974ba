"""A job's life on a terminal while somebody waits for it: a spinner, then its progress."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cli.harmless import one_line
from supervisor.lifecycle import JobStatus

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.store.records import Job


def watch_live(client: "Client", job: "Job") -> "Job":
    """Wait for the job's end and give it as it is then; show its life on a terminal.

    Raises NoSupervisor as `Client.watch` does.
    """
    with _display() as display:
        for changed in client.watch([job.id]):
            for job in changed:  # noqa: PLR1704  the newest is what is wanted
                display(job)
    return job


@contextlib.contextmanager
def _display() -> Iterator[Callable[["Job"], None]]:
    if not sys.stderr.isatty():
        yield lambda _job: None
        return
    from rich import progress  # noqa: PLC0415  (90 ms, for a terminal only)
    from rich.console import Console  # noqa: PLC0415

    bar = progress.Progress(
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=30),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True, markup=False, emoji=False, highlight=False),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)

        def display(job: "Job") -> None:
            fraction = job.progress_fraction
            bar.update(
                task,
                description=_line(job),
                total=None if fraction is None else 1.0,
                completed=fraction or 0.0,
            )

        yield display


def _line(job: "Job") -> str:
    message = f"  {one_line(job.progress_message)}" if job.progress_message else ""
    waiting = " (waiting for a slot)" if job.status is JobStatus.PENDING else ""
    return f"{job.type} {job.status}{waiting}{message}"
