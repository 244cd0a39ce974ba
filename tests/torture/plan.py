"""A seed becomes a plan: an endless row of steps, the same for the same seed. Pure.

What a step meets when its turn comes is not in the plan: that is up to processes and their schedule.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from tests.support.crash_at import POINTS
from tests.torture.load import DEEDS

WAYS = ("straight", "socket", "http")
SEATS = (0, 1)
"""Places for a supervisor: the first is seldom empty, the second often."""

_NEAR = 40
"""How far back a cancel, a retry or a wait looks for its job."""


@dataclass(frozen=True, slots=True)
class Submit:
    """`token` is in the payload. `key` is the idempotency key; who has the same asks for the same job."""

    way: str
    type: str
    deed: str
    token: str
    seconds: float
    times: int
    key: str | None
    priority: int | None


@dataclass(frozen=True, slots=True)
class OfJob:
    """cancel, retry or wait: for the job that step number `of` has submitted."""

    verb: str
    way: str
    of: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Command:
    """A submit, and perhaps a wait, by the installed command; `killed_after` so many seconds, or never."""

    type: str
    deed: str
    token: str
    wait: bool
    killed_after: float | None


@dataclass(frozen=True, slots=True)
class Strike:
    """What is done to the supervisor on a seat, or to what belongs to it."""

    verb: str
    seat: int
    seconds: float
    """For how long, or after how long it is started again."""
    point: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the surroundings, for so many seconds."""

    verb: str
    seat: int
    seconds: float


Act = Submit | OfJob | Command | Strike | Fault


@dataclass(frozen=True, slots=True)
class Step:
    """`lane`: who does it; each lane does one thing after the other, all lanes at once."""

    number: int
    lane: str
    pause: float
    """Seconds before it."""
    act: Act


STRIKES = {
    "kill": 26,
    "kill both": 4,
    "strike at": 16,
    "start": 16,
    "stop": 4,
    "hurry": 2,
    "reload": 5,
    "mistake": 1,
    "freeze": 3,
    "kill keeper": 6,
    "freeze keeper": 3,
    "kill http": 4,
    "freeze http": 1,
}
FAULTS = {
    "lock": 5,
    "wake socket": 2,
    "logs": 2,
    "disk full": 3,
    "descriptors of keeper": 2,
    "descriptors of supervisor": 2,
}
_KINDS: dict[str, int] = {
    "submit": 52,
    "cancel": 18,
    "retry": 5,
    "wait": 8,
    "command": 1,
    "strike": 6,
    "fault": 2,
}
_WEIGHTS = {name: deed.weight for name, deed in DEEDS.items()}
_ROLES = {"supervisor": 6, "keeper": 2, "both": 2}


def plan(seed: int) -> Iterator[Step]:
    dice = random.Random(seed)
    return (_step(dice, number) for number in count())


def _step(dice: random.Random, number: int) -> Step:
    kind = _weighed(dice, _KINDS)
    pause = round(min(0.3, dice.expovariate(40.0)), 4)
    lane, act = _MAKE[kind](dice, number)
    return Step(number, lane, pause, act)


def _weighed(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


def _submit(dice: random.Random, number: int) -> tuple[str, Act]:
    way = dice.choice(WAYS)
    deed, kind, seconds, times = _deed(dice)
    token, key = f"step-{number}", None
    if dice.random() < 0.25:
        # A handful of clients ask for the same with the same key, in whichever way; one has it wrong.
        number -= number % 32
        key = token = f"key-{number}"
        deed, kind, seconds, times = _deed(random.Random(number))
    priorities = (None, None, None, -1, 1, 5) if key is None else (*[None] * 9, 7)
    return way, Submit(way, kind, deed, token, seconds, times, key, dice.choice(priorities))


def _deed(dice: random.Random) -> tuple[str, str, float, int]:
    name = _weighed(dice, _WEIGHTS)
    deed = DEEDS[name]
    return name, dice.choice(deed.types), dice.choice(deed.seconds), dice.choice(deed.times)


def _of_job(verb: str) -> Callable[[random.Random, int], tuple[str, Act]]:
    def make(dice: random.Random, number: int) -> tuple[str, Act]:
        way = dice.choice(WAYS)
        of = max(0, number - 1 - int(dice.triangular(0, _NEAR, 0)))
        return way, OfJob(verb, way, of, dice.choice((0.1, 0.5, 2.0)))

    return make


def _command(dice: random.Random, number: int) -> tuple[str, Act]:
    killed = dice.choice((None, None, dice.uniform(0.05, 1.0)))
    deed, kind = dice.choice(("return", "witness", "raise", "exit")), dice.choice(("Plain", "Cold"))
    return "command", Command(kind, deed, f"step-{number}", dice.random() < 0.3, killed)


def _strike(dice: random.Random, _number: int) -> tuple[str, Act]:
    verb = _weighed(dice, STRIKES)
    seat = dice.choices(SEATS, (3, 1))[0]
    seconds = dice.choice((0.0, 0.1, 0.5, 1.5))
    if verb != "strike at":
        return "seats", Strike(verb, seat, seconds)
    point = dice.choice(sorted(POINTS))
    role = "child" if point == "after_claim_commit" and dice.random() < 0.3 else _weighed(dice, _ROLES)
    return "seats", Strike(verb, seat, seconds, point, role)


def _fault(dice: random.Random, _number: int) -> tuple[str, Act]:
    seat = dice.choices(SEATS, (3, 1))[0]
    return "faults", Fault(_weighed(dice, FAULTS), seat, dice.choice((0.1, 0.5, 1.5, 4.0)))


_MAKE: dict[str, Callable[[random.Random, int], tuple[str, Act]]] = {
    "submit": _submit,
    **{verb: _of_job(verb) for verb in ("cancel", "retry", "wait")},
    "command": _command,
    "strike": _strike,
    "fault": _fault,
}
