"""Whether a process answers that is asked now and then. Pure: who asks, and how, is elsewhere."""

from collections.abc import Callable


class Pings:
    """Questions to one process, each in a turn of its own.

    Counted and not timed: when the whole service was stopped for a while, it must have had time to answer.
    """

    def __init__(self, every: float, at_most: int) -> None:
        """`every`: seconds from one to the next. `at_most`: so many in a row may go unanswered."""
        self._every = every
        self._at_most = at_most
        self._next = 0.0
        self._unanswered = 0

    @property
    def patience(self) -> float:
        """Seconds of silence after which it has been asked often enough."""
        return self._every * self._at_most

    def answered(self) -> None:
        self._unanswered = 0

    def in_vain(self, now: float, ask: Callable[[], None]) -> bool:
        """Ask when it is time. True, and it is not asked, where all that it was asked got no answer."""
        if now < self._next:
            return False
        self._next = now + self._every
        if self._unanswered >= self._at_most:
            return True
        self._unanswered += 1
        ask()
        return False
