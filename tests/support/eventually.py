"""Tests wait for facts, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(fact: Callable[[], T], within: float = 20.0, every: float = 0.01) -> T:
    """Ask until the answer is truthy, and give it; fail with the last one after `within` seconds."""
    deadline = time.monotonic() + within
    while not (seen := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} seconds; last seen: {seen!r}")
        time.sleep(every)
    return seen
