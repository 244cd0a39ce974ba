"""Whatever is killed whenever: the history keeps every promise.

ASYNCWORKER_TEST_CHAOS_SECONDS lengthens it, ASYNCWORKER_TEST_CHAOS_SEED repeats one.
"""

import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.errors import JobNotEnded
from tests.support.history import check
from tests.support.keeper import groups_can_be_made
from tests.support.observer import Observer
from tests.support.service import LIMITS, Service, Serving
from tests.system.conftest import MakeService

SECONDS = float(os.environ.get("ASYNCWORKER_TEST_CHAOS_SECONDS", "15"))
SEED = int(os.environ.get("ASYNCWORKER_TEST_CHAOS_SEED", random.SystemRandom().randrange(2**32)))

# Of a process that has neither tie nor mark only its group knows when supervisor and keeper die at once.
DAEMON = "Daemon" if groups_can_be_made() else "Cookie"
LOAD = ("Nap", DAEMON, "Cookie", "Stubborn", "Litter", "Tidy", "Single", "Persistent", "Stumble", "Fall")
PAYLOADS: dict[str, tuple[float, ...]] = {"Stumble": (0, 1, 2, 9), "Fall": (0, 1, 2, 9)}
SECONDS_TO_TAKE = (0.0, 0.02, 0.1, 0.4)


@pytest.mark.timeout(SECONDS + 90)
def test_after_any_order_of_kills_every_job_has_ended_once_and_nothing_is_left(
    make_service: MakeService, tmp_path: Path
) -> None:
    say(f"ASYNCWORKER_TEST_CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    one = make_service()
    other = make_service(tmp_path / "other", database=one.database, runs=one.runs)
    one = make_service(database=one.database)
    acknowledged: list[str] = []
    by_hand: set[str] = set()
    done: list[str] = []
    with Observer(one.state_dir, other.state_dir) as seen:
        over = time.monotonic() + SECONDS
        while time.monotonic() < over:
            done.append(act(dice, one, other, acknowledged, by_hand))
            time.sleep(dice.uniform(0, 0.15))
        for service in (one, other):
            if not living(service):
                service.serve()
        for job in acknowledged:
            if one.job(job).type == "Tidy":
                one.client.cancel(job)
        one.all_ended(acknowledged, within=60.0)
    say({action: done.count(action) for action in sorted(set(done))})
    check(other, acknowledged, LIMITS, by_hand=by_hand)
    history = check(one, acknowledged, LIMITS, by_hand=by_hand)
    most = seen.most(lambda job: str(history.jobs[job]["type"]))
    assert all(most[name] <= LIMITS[name] for name in most), most
    statuses = [row["status"] for row in history.jobs.values()]
    say({status: statuses.count(status) for status in sorted(set(statuses))})
    say({"attempts": sum(map(len, history.attempts.values())), "retried by hand": len(by_hand)})


def say(what: object) -> None:
    """Shown by pytest where the test fails."""
    sys.stdout.write(f"{what}\n")


def living(service: Service) -> list[Serving]:
    return [serving for serving in service.supervisors if serving.process.poll() is None]


def act(dice: random.Random, one: Service, other: Service, acknowledged: list[str], by_hand: set[str]) -> str:
    """One thing at random, and its name."""
    service = dice.choice((one, other))
    action = dice.choices(
        ("submit", "cancel", "retry", "kill supervisor", "kill keeper", "start", "stop"),
        (12, 4, 1, 2, 2, 5, 1),
    )[0]
    running = living(service)
    if action == "submit":
        for _ in range(dice.randint(1, 3)):
            name = dice.choice(LOAD)
            payload = dice.choice(PAYLOADS.get(name, SECONDS_TO_TAKE))
            acknowledged.append(service.client.submit(name, payload).id)
    elif action == "retry" and acknowledged:
        with suppress(JobNotEnded):
            by_hand.add(service.client.retry(dice.choice(acknowledged[-20:])).id)
    elif action == "cancel" and acknowledged:
        service.client.cancel(dice.choice(acknowledged[-20:]))
    elif action == "start" and not running:
        service.serve()
    elif action == "kill supervisor" and running:
        running[0].kill()
    elif action == "kill keeper" and running and running[0].events("keeper_started"):
        running[0].kill_keeper()
    elif action == "stop" and running:
        running[0].process.terminate()
    else:
        return "nothing"
    return action
