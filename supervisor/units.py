"""Durations and sizes as people write them, in seconds and in bytes.

The same words serve job types and command-line options. Whatever cannot be read is a
ValueError whose message completes the sentence "this ...".
"""

import math
import re
from decimal import Decimal
from fractions import Fraction

LONGEST = 100 * 365 * 86_400
"""Seconds: a hundred years, so that every clock can hold every deadline."""

LARGEST = 2**63 - 1
"""Bytes: what the kernel takes as a limit."""

DURATION = "a duration (seconds, or such as 250ms, 10s, 5m, 1h30m, 2d)"
SIZE = "a size (bytes, or such as 64K, 10M, 2G)"

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_SECONDS_IN = {
    "d": Fraction(86_400),
    "h": Fraction(3_600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1_000),
}
_PLAIN_NUMBER = re.compile(_NUMBER)
_PARTS = re.compile(" ?".join(f"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _SECONDS_IN))

_BYTES_IN = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"([0-9]{1,19})([KMGT]?)")


def duration(written: str | float) -> float:
    """Seconds in `10`, `"250ms"`, `"1h30m"`: largest unit first, each at most once."""
    if isinstance(written, bool) or (isinstance(written, float) and not math.isfinite(written)):
        raise ValueError(f"must be {DURATION}")
    seconds = _spoken_seconds(written) if isinstance(written, str) else written
    if seconds < 0:
        raise ValueError("must not be negative")
    if seconds > LONGEST:
        raise ValueError("must not be longer than 100 years")
    return float(seconds)


def period(written: str | float) -> float:
    """Like `duration`; `"forever"` is infinity."""
    if isinstance(written, str) and written.strip() == "forever":
        return math.inf
    try:
        return duration(written)
    except ValueError as error:
        raise ValueError(f"{error}, or forever" if DURATION in str(error) else str(error)) from error


def spoken(seconds: float) -> str:
    """As `period` reads it: the same number again, and nothing finer than a billionth of a millisecond."""
    if math.isinf(seconds):
        return "forever"
    text = f"{Decimal(repr(seconds)):.12f}".rstrip("0").rstrip(".")
    whole, _, decimals = text.partition(".")
    return text if len(decimals) < 10 else f"{whole}s{int(decimals[:3])}.{decimals[3:]}ms"


def size(written: str | float) -> int:
    """Bytes in `1024`, `"64K"`, `"10m"`: powers of 1024, whole numbers."""
    count = _spoken_bytes(written) if isinstance(written, str) else _whole(written)
    if count < 0:
        raise ValueError("must not be negative")
    if count > LARGEST:
        raise ValueError("must not be larger than 8 EiB")
    return count


def _spoken_seconds(text: str) -> Fraction:
    """Fractions, because 0.1 + 0.2 seconds are 0.3."""
    text = text.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return Fraction(text)
    parts = _PARTS.fullmatch(text)
    if parts is None or not text:
        raise ValueError(f"must be {DURATION}")
    return sum(
        (Fraction(count) * _SECONDS_IN[unit] for unit, count in parts.groupdict().items() if count),
        start=Fraction(0),
    )


def _whole(number: float) -> int:
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise ValueError(f"must be {SIZE}")


def _spoken_bytes(text: str) -> int:
    parts = _SIZE.fullmatch(text.strip().upper())
    if parts is None:
        raise ValueError(f"must be {SIZE}")
    return int(parts[1]) * _BYTES_IN[parts[2]]
