"""What a handler may ask for by what it raises: another attempt, or none."""

import math
from datetime import timedelta
from typing import Any

from workers.frames import Frame

LONGEST = 10 * 365 * 24 * 3600.0
"""Seconds: a longer `after` counts as this, which any clock and database can still add to now."""


class Retry(Exception):
    """Raised by a handler that wants another attempt of its job.

    Attributes:
        reason: Why, for people; it becomes the attempt's error message.
        after: Seconds until that attempt may begin; None leaves them to the job type's backoff.
    """

    reason: str = ""
    after: float | None = None

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        """Raises ValueError where `after` is neither a number of seconds from 0 on nor such a timedelta."""
        super().__init__(reason)
        self.reason = str(reason)
        self.after = None if after is None else _seconds(after)


class Discard(Exception):
    """Raised by a handler whose job makes no sense any more: no further attempt, whatever its type says.

    Attributes:
        reason: Why, for people; it becomes the job's error message.
    """

    reason: str = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = str(reason)


def wish_of(error: BaseException) -> Frame:
    """Fields of a report for what was raised, message included; none where it is no wish.

    The exception itself counts, never its cause or a member of a group: those were wishes of a part
    of the handler, and the whole has decided otherwise.
    """
    if isinstance(error, Retry):
        message = _reason(error) or "it asked for another attempt"
        return {"wish": "retry", "after": _seconds_or_none(error.after), "message": message}
    if isinstance(error, Discard):
        return {"wish": "discard", "message": _reason(error) or "it asked for no further attempt"}
    return {}


def heard_wish(frame: Frame) -> Frame:
    """What counts of those fields in a report that a job may have forged."""
    wish = frame.get("wish")
    if wish == "retry":
        return {"wish": "retry", "after": _seconds_or_none(frame.get("after"))}
    return {"wish": "discard"} if wish == "discard" else {}


def _reason(error: Retry | Discard) -> str:
    reason: object = error.reason  # a subclass may have put anything there
    return reason if isinstance(reason, str) else ""


def _seconds(after: Any) -> float:
    value = after.total_seconds() if isinstance(after, timedelta) else after
    # Not float() first: an int may be too large for one. NaN fails the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"after takes seconds from 0 on, or such a timedelta, not {after!r}")
    return float(min(value, LONGEST))


def _seconds_or_none(after: Any) -> float | None:
    """None too for what a subclass, or a forged report, has put there."""
    try:
        return _seconds(after)
    except Exception:  # noqa: BLE001  (a subclass of ours, or of a number, may do anything)
        return None
