"""Torture: python -m tests.torture.run --seed N --actions N --minutes N; `make torture` does that.

Exit code 0 where every promise was kept, 1 where one was broken; then everything is left in its folder.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tests.support.history import recorded
from tests.support.observer import Observer
from tests.torture import load
from tests.torture.book import Book
from tests.torture.checker import unended, violations
from tests.torture.ground import Ground
from tests.torture.history import History
from tests.torture.lanes import Lanes
from tests.torture.plan import plan
from tests.torture.seats import Seats, living
from tests.torture.settle import settle
from tests.torture.witness import Witness

_LOOK = 0.1
"""Seconds between two looks from outside."""
_SHOWN = 40


@dataclass(frozen=True)
class Report:
    violations: list[str]
    begun: int
    kills: int
    strikes: int
    done: Counter[str]
    statuses: Counter[str]
    attempts: int
    seconds: float

    def lines(self) -> list[str]:
        return [
            f"{self.begun} actions in {self.seconds:.0f} s",
            f"supervisors ended by SIGKILL: {self.kills}, of them at named points: {self.strikes}",
            f"jobs: {_listed(self.statuses)}; attempts: {self.attempts}",
            *(f"  {what}: {number}" for what, number in sorted(self.done.items())),
            *(f"BROKEN: {violation}" for violation in self.violations[:_SHOWN]),
            "every promise was kept"
            if not self.violations
            else f"{len(self.violations)} promises were broken",
        ]


class Torture:
    """One run, in rounds: after each, everything is let settle and is judged from the beginning on."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.book = Book()
        self.seats = Seats(ground, self.book)

    def run(
        self, seed: int, actions: int, seconds: float, in_a_round: int, say: Callable[[str], None]
    ) -> Report:
        ground, begun = self._ground, 0
        steps = plan(seed)
        for service in ground.services:
            service.client.overview()  # there is a database before anybody looks for one
        witness = Witness(ground.database)
        lanes = Lanes(ground, self.book, self.seats)
        found: list[str] = []
        history = History({}, {})
        try:
            self.seats.start(ground.services[0], be_ready=True)
            began = time.monotonic()
            with Observer(*(service.state_dir for service in ground.services), pause=_LOOK) as seen:
                while begun < actions and time.monotonic() < began + seconds and not found:
                    if not living(ground.services[0]):
                        self.seats.start(ground.services[0], be_ready=True)
                    piece = islice(steps, min(in_a_round, actions - begun))
                    begun += lanes.through(piece, began + seconds)
                    alive = settle(ground, self.seats)
                    witness.look()
                    history = self._history(witness, seen, alive)
                    found = [*violations(history), *unended(history), *self.book.complaints]
                    say(f"{begun} actions, {time.monotonic() - began:.0f} s: {len(found)} promises broken")
        finally:
            lanes.close()
            witness.close()
        return self._report(history, found, begun, time.monotonic() - began)

    def _report(self, history: History, found: list[str], begun: int, seconds: float) -> Report:
        return Report(
            found,
            begun,
            self.seats.kills(),
            self.seats.strikes(),
            self.book.done,
            Counter(job["status"] for job in history.jobs.values()),
            sum(map(len, history.attempts.values())),
            seconds,
        )

    def _history(self, witness: Witness, seen: Observer, alive: list[str]) -> History:
        history = recorded(self._ground.services[0])
        return replace(
            history,
            changes=list(witness.changes),
            rules=load.RULES,
            told=list(self.book.told),
            may_end={token: load.may_end(deed) for token, deed in self.book.deeds.items()},
            lives=self.seats.lives(),
            alive=alive,
            together=seen.most(lambda job: str(history.jobs[job]["type"])),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    folder.chmod(0o700)
    print(f"seed {given.seed}, in {folder}", flush=True)
    ground = Ground(folder)
    try:
        report = Torture(ground).run(given.seed, given.actions, given.minutes * 60, given.round, _say)
        print("\n".join(report.lines()), flush=True)
        broken = bool(report.violations)
    except BaseException:
        broken = True
        raise
    finally:
        ground.end(keep=broken)
        if not broken:
            shutil.rmtree(folder)
    return int(broken)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make torture", description="Break it, if you can.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--actions", type=int, default=2000, help="how many, at most")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long, at most")
    parser.add_argument("--round", type=int, default=500, help="actions between two judgements")
    return parser


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(counted.items()))


if __name__ == "__main__":
    sys.exit(main())
