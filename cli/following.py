"""What a job prints, as it prints it, to standard output."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cli.harmless import TerminalFilter
from supervisor.lifecycle import JobStatus

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.store.records import Job

_CHUNK = 1 << 16


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


class Tail:
    """A log file that may not exist yet, read on from where the last reading stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[bytes]:
        """What there is and was not read yet."""
        if self._file is None:
            try:
                self._file = self._path.open("rb", buffering=0)
            except FileNotFoundError:  # nothing printed yet
                return
        while piece := self._file.read(_CHUNK):
            yield piece

    def close(self) -> None:
        if self._file:
            self._file.close()


def print_output(path: Path) -> None:
    """All that is in a log file; nothing where there is none."""
    printer, tail = Printer(), Tail(path)
    try:
        printer.print(tail.read())
        printer.finish()
    finally:
        tail.close()


def follow_output(client: "Client", job: "Job", attempt: int | None = None) -> "Job":
    """Print what a job prints until it has ended, and give it as it is then.

    With `attempt` only until that attempt has ended; without, attempt after attempt. Raises
    NoSupervisor as `Client.watch` does.
    """
    number = attempt or max(1, job.attempt)
    printer, tail = Printer(), Tail(client.locations.log_of(job.id, number))
    try:
        for changed in client.watch([job.id]):
            job = changed[-1] if changed else job
            printer.print(tail.read())
            if attempt is not None and _is_over(job, attempt):
                break
            while job.attempt > number:
                number += 1
                tail.close()
                tail = Tail(client.locations.log_of(job.id, number))
                printer.print(tail.read())
    finally:
        printer.print(tail.read())
        printer.finish()
        tail.close()
    return job


def _is_over(job: "Job", attempt: int) -> bool:
    return job.ended or job.attempt > attempt or job.status is JobStatus.PENDING
