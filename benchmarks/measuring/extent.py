"""How much is measured: all of it, or a smoke run that only shows that everything works."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extent:
    """Of one run."""

    quick: bool
    turns: int
    """Rounds of everything that does not take long."""

    def rounds(self, what: str) -> Iterator[int]:
        for turn in range(self.turns):
            print(f"{what}: round {turn + 1} of {self.turns}", file=sys.stderr, flush=True)
            yield turn

    def interleaved(self, members: Sequence[T], turn: int) -> list[T]:
        """Each round begins with another, so that none always follows the same."""
        start = turn % len(members) if members else 0
        return [*members[start:], *members[:start]]

    def of(self, full: T, small: T) -> T:
        return small if self.quick else full
