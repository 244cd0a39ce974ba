"""What a handler is given, and what interrupts it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class JobCancelled(BaseException):
    """Raised once in the handler's main thread when its job is cancelled or over its timeout.

    A BaseException, so that `except Exception` does not swallow it. `finally` blocks have the grace
    period of the job type to run in; then everything of the job is killed.
    """


class JobContext:
    """The job a handler runs for: `def handler(payload, job)`.

    Attributes:
        id: The job's id, a UUID.
        type: Name of its job type.
        attempt: Number of this execution, from 1.
        payload: What was submitted, as `payload` too.
        options: The `options` of the job type.
        directory: The working directory: by default private, empty, and removed afterwards.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002  (the public name of the attribute)
        type: str,  # noqa: A002
        attempt: int,
        payload: Any,
        options: Mapping[str, Any],
        directory: Path,
        report_progress: Callable[[float, str | None], None],
    ) -> None:
        self.id = id
        self.type = type
        self.attempt = attempt
        self.payload = payload
        self.options = options
        self.directory = directory
        self._report_progress = report_progress

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far the job is: `fraction` from 0 to 1, and optionally what it is doing.

        Cheap: call it as often as you like. Only the newest is shown, and of several within a tenth of
        a second with the same message only the first; a new message is passed on at once.

        Raises ValueError where `fraction` is not a number from 0 to 1.
        """
        value = float(fraction)
        if not 0.0 <= value <= 1.0:  # NaN fails this too
            raise ValueError(f"progress takes a fraction from 0 to 1, not {fraction!r}")
        self._report_progress(value, None if message is None else str(message))

    def __repr__(self) -> str:
        return f"<JobContext {self.type} {self.id} attempt {self.attempt}>"
