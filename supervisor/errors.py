"""Everything that this package raises on purpose.

The docstring of a class is its default message. `exit_code` is what the command line ends
with when the error reaches it.
"""

import inspect


class AsyncWorkerError(Exception):
    """Something went wrong."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)))


class InvalidPayload(AsyncWorkerError, ValueError):
    """The payload is not JSON, or is larger than 1 MiB."""

    exit_code = 2


class PayloadTooLarge(InvalidPayload):
    """The payload is larger than 1 MiB of compact JSON."""


class InvalidKey(AsyncWorkerError, ValueError):
    """This idempotency key stands for a job that was asked for differently."""

    exit_code = 2


class InvalidConfiguration(AsyncWorkerError, ValueError):
    """The configuration has mistakes."""

    exit_code = 2


class UnknownJobType(AsyncWorkerError, LookupError):
    """There is no such job type."""

    exit_code = 2


class UnknownJob(AsyncWorkerError, LookupError):
    """There is no job with this id."""

    exit_code = 3


class JobNotEnded(AsyncWorkerError):
    """The job has not ended, so there is nothing to retry."""


class AmbiguousJob(AsyncWorkerError, LookupError):
    """More than one job's id begins like this; give more of it."""

    exit_code = 2


class StoreUnavailable(AsyncWorkerError):
    """The database cannot be reached."""

    exit_code = 4


class StoreLocked(StoreUnavailable):
    """The database is locked by another process; try again."""


class StoreDamaged(StoreUnavailable):
    """The database is damaged: stop the service and restore a backup."""


class NotOurDatabase(StoreUnavailable):
    """The database file is not a database of AsyncWorker."""


class SchemaTooNew(StoreUnavailable):
    """The database was made by a newer AsyncWorker; upgrade this installation."""


class BackupRefused(AsyncWorkerError, ValueError):
    """A backup cannot have this name."""

    exit_code = 2


class BackupFailed(AsyncWorkerError):
    """The backup could not be written, and nothing was left of it."""


class GivenUp(AsyncWorkerError):
    """It is on record that this supervisor is gone: it ends, and with it what it runs."""


class JobsLeft(AsyncWorkerError):
    """The service has stopped, and some of its jobs could not be ended."""


class UnreadableLog(AsyncWorkerError):
    """The log of this attempt cannot be read."""


class NoSupervisor(AsyncWorkerError):
    """This needs a running service and there is none; start one with: asyncworker serve."""

    exit_code = 4


def reason(error: OSError | MemoryError | ImportError) -> str:
    """What the host refuses, in its own words."""
    if isinstance(error, MemoryError):
        return "there is no memory left"
    if isinstance(error, ImportError):
        return f"this installation cannot be read ({error})"
    return str(error.strerror or error) + (f": {error.filename}" if error.filename else "")
