"""Counting slots: limits and what is in use -> what may start.

Nothing stores a slot. One in use *is* an InProgress row, counted in the transaction that claims, so
slots cannot leak, and two supervisors on one database count the same ones.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """A Pending job, as far as its place in the line goes."""

    @property
    def seq(self) -> int: ...
    @property
    def priority(self) -> int: ...


W = TypeVar("W", bound=Waiting)


def free(limits: Mapping[str, int], in_use: Mapping[str, int]) -> dict[str, int]:
    """Free slots of each type that has any; a limit lowered below what runs gives none, never fewer."""
    left = {name: limit - in_use.get(name, 0) for name, limit in limits.items()}
    return {name: number for name, number in left.items() if number > 0}


def line_up(eligible: Iterable[W], places: int) -> list[W]:
    """The next jobs over all types: larger priority first, then in order of submission."""
    return sorted(eligible, key=lambda job: (-job.priority, job.seq))[:places]
