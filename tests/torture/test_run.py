"""A short torture: after any order of kills, stops, faults and wishes every promise has been kept.

ASYNCWORKER_TEST_TORTURE_SEED repeats a plan. `make torture` does the same for as long as one likes.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.torture.ground import Ground
from tests.torture.run import Torture

SEED = int(os.environ.get("ASYNCWORKER_TEST_TORTURE_SEED", random.SystemRandom().randrange(2**32)))
ACTIONS = 250
SECONDS = 10.0

pytestmark = pytest.mark.system


@pytest.mark.timeout(400)
def test_whatever_is_done_to_it_in_whichever_order_every_promise_is_kept(tmp_path: Path) -> None:
    say(f"ASYNCWORKER_TEST_TORTURE_SEED={SEED}")
    ground = Ground(tmp_path / "ground")
    try:
        report = Torture(ground).run(SEED, ACTIONS, SECONDS, ACTIONS, say)
    finally:
        ground.end()
    say("\n".join(report.lines()))
    assert report.violations == []


def say(sentence: str) -> None:
    """Shown by pytest where the test fails."""
    sys.stdout.write(f"{sentence}\n")
