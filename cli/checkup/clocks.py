"""The clock, beside the times in the database."""

from collections.abc import Iterator

from cli.checkup.finding import Finding, ok, warning
from cli.wording import span, when

_TOLERATED = 1_000
"""Milliseconds."""
_WRITTEN = 1_767_225_600_000
"""2026-01-01: nobody runs this earlier."""


def judge(now: int, latest: int) -> Iterator[Finding]:
    """Milliseconds since the epoch: by the clock, and the newest of anything on record."""
    if now < _WRITTEN:
        yield warning("clock", f"it is {when(now)}, by the clock", "Set it; have it set by NTP.")
    if latest > now + _TOLERATED:
        yield warning(
            "clock",
            f"a time on record is {span(latest - now)} in the future: the clock was set back, or was wrong",
            "Have the clock set by NTP. Deadlines do not follow it, but times, ages and retention do.",
        )
    elif now >= _WRITTEN:
        yield ok("clock", "nothing on record is in the future")
