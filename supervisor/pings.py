"""Whether a process answers that is asked now and then. Pure: who asks, and how, is elsewhere."""

from collections.abc import Callable

_EVERY = 10.0
"""Seconds; in the next turn then. None is made for it: while nothing happens there is one each second."""
_AT_MOST = 3
"""Questions in a row that may go unanswered."""
PATIENCE = _EVERY * _AT_MOST
"""Seconds of silence after which it has been asked often enough."""


class Pings:
    """Questions to one process, each in a turn of its own.

    Counted and not timed: when the whole service was stopped for a while, it must have had time to answer.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._unanswered = 0

    def answered(self) -> None:
        self._unanswered = 0

    def in_vain(self, now: float, ask: Callable[[], None]) -> bool:
        """Ask when it is time. True, and it is not asked, where all that it was asked got no answer."""
        if now < self._next:
            return False
        self._next = now + _EVERY
        if self._unanswered >= _AT_MOST:
            return True
        self._unanswered += 1
        ask()
        return False
