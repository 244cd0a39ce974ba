"""What dead owners left: supervisors, and keepers of supervisors that live."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from workers import subtree
from workers.frames import Frame
from workers.identity import Identity
from workers.sweep import UNKILLABLE_AFTER, Sweep
from workers.trees import left_by, tree_of

_AGAIN_WHILE_PATIENT = 0.25
_AGAIN_AT_MOST = 2.0


@dataclass
class _Sweep:
    """What is being ended of one owner."""

    sweep: Sweep
    kill_from: float
    """When waiting turns into killing."""
    look_at: float
    _pause: float = 0.005
    _reported: bool = False

    def put_off(self, now: float) -> None:
        """Look again soon, and then less and less often: each look is one at every process of the host."""
        most = _AGAIN_AT_MOST if now >= self.kill_from else _AGAIN_WHILE_PATIENT
        self.look_at = now + self._pause
        self._pause = min(self._pause * 2, most)

    def in_vain(self, now: float) -> list[int]:
        """Pids of what has not ended long after its SIGKILL; said once."""
        if self._reported or now < self.kill_from + UNKILLABLE_AFTER:
            return []
        self._reported = True
        return sorted(process.pid for process in self.sweep.left)


class OwnerSweeps:
    """All that are under way."""

    def __init__(self) -> None:
        self._of: dict[str, _Sweep] = {}

    def begin(self, order: dict[str, Any], now: float) -> None:
        """End what the owner left; `strays` are known to be its, whatever they did to themselves.

        For `patience` seconds only wait: the owner's own keeper is doing the same, and knows more. `silent`:
        seconds since the owner was last known to live.
        """
        owner, silent = order["owner"], order.get("silent")
        roots, strays = _identities(order["children"]), _identities(order["strays"])

        def find() -> Iterator[Identity]:
            for stray in strays:
                yield from tree_of(stray)
            since = None if silent is None else silent + time.monotonic() - now
            yield from left_by(owner, roots, since)

        sweep = Sweep(find, partial(subtree.end, owner))
        self._of[owner] = _Sweep(sweep, kill_from=now + order["patience"], look_at=now)

    def due(self) -> list[float]:
        return [each.look_at for each in self._of.values()]

    def step(self, now: float) -> Iterator[Frame]:
        """Of each owner of which nothing is left any more, how many processes were killed.

        Of one whose processes do not end in spite of that, which they are; it is gone on with.
        """
        for owner, each in list(self._of.items()):
            if now < each.look_at:
                continue
            each.put_off(now)
            with contextlib.suppress(OSError):  # nothing left to look with: looked at again later
                if each.sweep.look() or (now >= each.kill_from and each.sweep.step()):
                    del self._of[owner]
                    subtree.end(owner)
                    yield {"op": "swept", "owner": owner, "killed": len(each.sweep.killed)}
                elif pids := each.in_vain(now):
                    yield {"op": "unswept", "owner": owner, "pids": pids}


def _identities(wire: Iterable[list[Any]]) -> list[Identity]:
    return [Identity(*each) for each in wire]
