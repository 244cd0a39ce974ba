"""What a job prints, as it prints it, to standard output."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cli.harmless import TerminalFilter
from supervisor.lifecycle import JobStatus
from supervisor.logfile import Following

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.settings import Locations
    from supervisor.store.records import Job


class Printer:
    """Bytes to standard output: as they are into a pipe or a file, made harmless onto a terminal."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._filter = TerminalFilter() if sys.stdout.isatty() else None

    def print(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._put(piece)
        sys.stdout.flush()

    def finish(self) -> None:
        """Show what was held back for the rest of a character or an escape sequence."""
        if self._filter:
            sys.stdout.write(self._filter.feed(b"", last=True))
            sys.stdout.flush()

    def _put(self, piece: bytes) -> None:
        if self._filter:
            sys.stdout.write(self._filter.feed(piece))
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def print_output(locations: "Locations", path: Path) -> None:
    """All that is in a log file; nothing where there is none."""
    printer, log = Printer(), Following(locations.state_dir, path)
    try:
        printer.print(log.read_rest())
        printer.finish()
    finally:
        log.close()


def follow_output(client: "Client", job: "Job", attempt: int | None = None) -> "Job":
    """Print what a job prints until it has ended, and give it as it is then.

    With `attempt` only until that attempt has ended; without, attempt after attempt. Raises
    NoSupervisor as `Client.watch` does.
    """
    at = client.locations
    number = attempt or max(1, job.attempt)
    printer, log = Printer(), Following(at.state_dir, at.log_of(job.id, number))
    try:
        for changed in client.watch([job.id]):
            job = changed[-1] if changed else job
            printer.print(log.read_rest())
            if attempt is not None and _is_over(job, attempt):
                break
            while job.attempt > number:
                number += 1
                log.close()
                log = Following(at.state_dir, at.log_of(job.id, number))
                printer.print(log.read_rest())
    finally:
        printer.print(log.read_rest())
        printer.finish()
        log.close()
    return job


def _is_over(job: "Job", attempt: int) -> bool:
    return job.ended or job.attempt > attempt or job.status is JobStatus.PENDING
