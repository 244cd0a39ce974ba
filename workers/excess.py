"""What of a log is over its limit: the middle. The first and the last half of the limit are kept. Pure."""

from pathlib import Path


def excess(size: int, limit: int) -> range:
    """The bytes of a log that are not kept."""
    head = limit // 2
    return range(head, size - (limit - head)) if size > limit else range(0)


def record_of(log: Path) -> Path:
    """The file beside a log that has been over its limit, and in it this limit, as a decimal number.

    The job types may say another by the time that somebody reads the log.
    """
    return log.with_suffix(".limit")
