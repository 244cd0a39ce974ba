"""SIGTERM becomes JobCancelled in the handler, once."""

import signal
from types import FrameType

from workers.context import JobCancelled


class Interrupt:
    """Raises JobCancelled for the first SIGTERM; a second one must not break off its `finally` blocks."""

    def __init__(self) -> None:
        self.raised = False
        self._armed = False
        self._arrived = False

    def arm(self) -> None:
        self._armed = True
        signal.signal(signal.SIGTERM, self._arrive)

    def disarm(self) -> None:
        """The handler is over: a SIGTERM from now on comes too late to change anything."""
        self._armed = False

    def _arrive(self, _number: int, _frame: FrameType | None) -> None:
        if self._arrived or not self._armed:
            return
        self._arrived = True
        self.raised = True
        self._raise()

    def _raise(self) -> None:
        raise JobCancelled("the job was cancelled or is over its timeout")
