"""The wall clock for what is removed after its time: a step forward counts only once it has stood for a day.

A clock that is set a year ahead, by a mistake or by a battery that is empty, would else have the whole
history removed within minutes, before anybody has noticed. Removed late is better than removed early.
"""

from supervisor.clock import Clock

_NO_STEP = 60_000
"""Milliseconds: what a clock is set right by in the ordinary."""
_STANDS = 86_400.0
"""Seconds after which the new time is taken for the true one."""


class SteadyClock:
    """Follows the wall clock backwards at once. It is looked at from the start of the service on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._difference()
        self._ahead_since: float | None = None

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> int:
        """Milliseconds since the epoch, and never more than the wall clock shows."""
        difference, at = self._difference(), self.monotonic()
        if difference <= self._offset + _NO_STEP:
            self._offset, self._ahead_since = difference, None
        elif self._ahead_since is None:
            self._ahead_since = at
        elif at - self._ahead_since >= _STANDS:
            self._offset, self._ahead_since = difference, None
        return self._offset + round(at * 1000)

    @property
    def held_back(self) -> float:
        """Seconds by which it is behind the wall clock because of a step."""
        return 0.0 if self._ahead_since is None else (self._difference() - self._offset) / 1000

    def _difference(self) -> int:
        return self._clock.now() - round(self._clock.monotonic() * 1000)
