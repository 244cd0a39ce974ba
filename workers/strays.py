"""The keeper's children that it did not launch: leftovers of jobs that have ended."""

from collections.abc import Iterator

from workers.identity import Identity
from workers.sweep import Sweep
from workers.trees import Dead, adopted, tree_of

_UNHEARD = 1.0
"""Seconds for which a child may have been dead before it is reaped: far more than a turn takes."""


class Strays:
    """What is there now, and since when.

    Whose a stray is, nobody can say who comes later: parent, session and environment can all be
    changed. So every job waits for all strays but those that were there before it ended.
    """

    def __init__(self) -> None:
        self._since: dict[Identity, float] = {}
        self._dead: list[Dead] = []

    def __bool__(self) -> bool:
        return bool(self._since)

    def look(self, known: set[int], now: float) -> None:
        """See what is there; `known` are our own children."""
        self._since = {stray: self._since.get(stray, now) for stray in self._adopted(known)}

    def possibly_of(self, ended: float) -> set[Identity]:
        """Those that a job may have left whose child was reaped then."""
        return {stray for stray, since in self._since.items() if since >= ended - _UNHEARD}

    def end(self, known: set[int], now: float, others: set[int] | None = None) -> set[Identity]:
        """Stop and kill them and what is below them, but for `others`: what was killed. Then look again."""
        sweep = Sweep(lambda: self._trees(known | (others or set())))
        sweep.step()
        self.look(known, now)
        return sweep.killed

    def take_dead(self) -> list[Dead]:
        """Those that were reaped since the last time."""
        dead, self._dead = self._dead, []
        return dead

    def _adopted(self, known: set[int]) -> list[Identity]:
        return adopted(known, self._dead.append)

    def _trees(self, known: set[int]) -> Iterator[Identity]:
        for root in self._adopted(known):
            yield from tree_of(root)
