"""Several measurements of the same thing: median and spread, percentiles, ratios."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Raises ValueError where there are none."""
        known = sorted(values)
        if not known:
            raise ValueError("nothing was measured")
        return cls(median(known), known[0], known[-1])

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round: what disturbed one round disturbed both."""
    return Spread.of(mine / other for mine, other in zip(ours, theirs, strict=False) if other)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    known = sorted(values)
    return known[max(0, math.ceil(share * len(known)) - 1)]


def number(value: float) -> str:
    """Three digits that matter."""
    if value == int(value):
        return f"{int(value):,}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"
