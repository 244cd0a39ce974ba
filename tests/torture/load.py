"""What is submitted: the job types, and every way to die. Pure."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.torture.history import Budget, Rules

HERE = Path(__file__).resolve().parent / "project"
CHORES = HERE.parent.parent / "system" / "project"

RETRIES: dict[str, Any] = {"initial": "50ms", "max": "200ms", "jitter": False}
_ACT: dict[str, Any] = {"handler": "deeds:act", "grace": "300ms"}

TYPES: dict[str, dict[str, Any]] = {
    "Plain": {**_ACT, "max_concurrency": 3},
    "Single": {**_ACT, "max_concurrency": 1},
    "Cold": {**_ACT, "max_concurrency": 2, "preload": False},
    "Patient": {**_ACT, "max_concurrency": 2, "grace": "5s"},
    "Loud": {**_ACT, "max_concurrency": 2, "limits": {"output": "64K"}},
    "Timed": {**_ACT, "max_concurrency": 2, "timeout": "400ms", "grace": "200ms"},
    "Retried": {**_ACT, "max_concurrency": 2, "retries": {**RETRIES, "max_attempts": 3}},
    "Steady": {
        **_ACT,
        "max_concurrency": 2,
        "retries": {**RETRIES, "max_attempts": 2},
        "on_owner_death": "retry",
        "max_crashes": 1000,
    },
    "Fragile": {
        **_ACT,
        "max_concurrency": 2,
        "retries": {**RETRIES, "max_attempts": 6},
        "on_owner_death": "retry",
        "max_crashes": 2,
    },
    "Program": {
        "command": [sys.executable, "-S", "-E", str(HERE / "program.py")],
        "max_concurrency": 2,
        "grace": "300ms",
    },
    "Guest": {**_ACT, "max_concurrency": 2},
}

GUEST = "Guest"
"""The type that comes and goes with reloads."""

RULES = {
    name: Rules(
        settings["max_concurrency"],
        again=bool({"retries", "on_owner_death"} & settings.keys()),
        budget=Budget(
            settings.get("retries", {}).get("max_attempts", 1),
            settings.get("max_crashes", 3),
            survives_owner=settings.get("on_owner_death") == "retry",
        ),
        returns="handler" in settings,
    )
    for name, settings in TYPES.items()
}

RETURNS = frozenset({"Completed"})
RAISES = frozenset({"raised"})
EXITS = frozenset({"exited"})
KILLED = frozenset({"signalled", "out_of_memory"})
BAD = frozenset({"bad_result"})
OVERDUE = frozenset({"timed_out"})
NOBODYS_FAULT = frozenset({"not_started"})
"""Where its log or its folder cannot be made: that is done to it."""

_MOST = ("Plain", "Single", "Cold", "Patient", "Retried", "Steady", "Fragile", "Guest")
_ONCE = ("Plain", "Single", "Cold")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a job does, and how it can end by that."""

    ends: frozenset[str]
    types: tuple[str, ...] = _MOST
    weight: int = 4
    seconds: tuple[float, ...] = (0.0,)
    times: tuple[int, ...] = (0,)
    """In how many attempts it fails."""


DEEDS: dict[str, Deed] = {
    "return": Deed(RETURNS, weight=20),
    "nap": Deed(RETURNS, weight=20, seconds=(0.02, 0.1, 0.4, 1.5)),
    "witness": Deed(RETURNS, weight=8),
    "raise": Deed(RAISES),
    "exit": Deed(EXITS),
    "quit": Deed(EXITS),
    "SIGKILL": Deed(KILLED),
    "SIGSEGV": Deed(KILLED, weight=2),
    "stop itself": Deed(OVERDUE, ("Timed",)),
    "nap too long": Deed(OVERDUE, ("Timed",), seconds=(30.0,)),
    "deaf too long": Deed(OVERDUE, ("Timed",), seconds=(30.0,)),
    "deaf": Deed(RETURNS, ("Plain", "Steady"), seconds=(0.1, 1.5)),
    "swallow": Deed(RETURNS, seconds=(0.1, 1.0)),
    "tidy": Deed(RETURNS, ("Patient",), weight=6, seconds=(0.1, 1.0)),
    "daemons": Deed(RETURNS, weight=8, seconds=(0.0, 0.2)),
    "children": Deed(RETURNS, weight=6, seconds=(0.0, 0.2)),
    "flood": Deed(RETURNS | RAISES, ("Loud",), weight=3),
    "chatter": Deed(RETURNS, weight=3, seconds=(0.2,)),
    "no JSON": Deed(BAD, _ONCE, 1),
    "NaN": Deed(BAD, _ONCE, 1),
    "garbage": Deed(EXITS | BAD | RETURNS, _ONCE, 2),
    "forged frames": Deed(EXITS | BAD | RAISES, _ONCE, 2),
    "closes all": Deed(EXITS, _ONCE, 2),
    "leaves a thread": Deed(RETURNS, _ONCE, 2),
    "kills its keeper": Deed(frozenset(), _ONCE, 1),
    "stumble": Deed(RETURNS | RAISES, ("Retried", "Steady"), 6, times=(1, 2, 9)),
    "fall": Deed(RETURNS | KILLED, ("Retried", "Fragile"), 6, times=(1, 2, 9)),
    "ask again": Deed(RETURNS | RAISES, ("Plain", "Retried"), 4, times=(1, 9)),
    "discard": Deed(RAISES, ("Retried", "Steady"), 2),
    "program": Deed(RETURNS | EXITS, ("Program",), 5, seconds=(0.0, 0.2)),
}


def may_end(deed: str) -> frozenset[str]:
    return DEEDS[deed].ends | NOBODYS_FAULT
