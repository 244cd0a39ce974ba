"""SIGTERM becomes JobCancelled in the handler, once."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from workers.context import JobCancelled


class Interrupt:
    """Raises JobCancelled for the first SIGTERM; a second one must not break off its `finally` blocks.

    `tell` is called with "interrupted" when it does. Without that word the keeper sends one more
    signal: Python runs signal handlers between two instructions, so one that comes just before a
    system call is heard only when that returns. "uninterrupted" takes it back.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.raised = False
        self._tell = tell
        self._armed = False
        self._request: JobCancelled | None = None
        self._report_unraisable = sys.unraisablehook

    def arm(self) -> None:
        self._armed = True
        self._report_unraisable = sys.unraisablehook
        sys.unraisablehook = self._swallowed
        signal.signal(signal.SIGTERM, self._arrive)

    def disarm(self) -> None:
        """The handler is over: a SIGTERM from now on comes too late to change anything."""
        self._armed = False

    def enter(self) -> None:
        """Note that the handler is being interrupted."""
        self.raised = True
        self._tell("interrupted")

    def _arrive(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed and not self.raised:
            self.enter()
            self._request = JobCancelled("the job was cancelled or is over its timeout")
            raise self._request

    def _swallowed(self, unraisable: Any) -> None:
        """Raised in a weak reference's callback or a __del__, an exception does not get out: try again."""
        if unraisable.exc_value is None or unraisable.exc_value is not self._request:
            self._report_unraisable(unraisable)
        elif self._armed:
            self.raised = False
            self._tell("uninterrupted")
