"""A seed is a plan: the same one, always; and everything that can happen is in it."""

import subprocess
import sys
from dataclasses import asdict
from functools import cache
from itertools import islice

from tests.support.crash_at import POINTS
from tests.torture.load import DEEDS, TYPES
from tests.torture.plan import FAULTS, STRIKES, WAYS, Command, Fault, OfJob, Step, Strike, Submit, plan
from tests.tree import ROOT

MANY = 10_000


@cache
def first(seed: int, number: int) -> list[Step]:
    return list(islice(plan(seed), number))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert list(islice(plan(7), 300)) == list(islice(plan(7), 300)) == first(7, 300)
    assert first(7, 300) != first(8, 300)


def test_another_process_with_other_hashes_makes_the_same_plan() -> None:
    program = (
        "from itertools import islice; from tests.torture.plan import plan; print(list(islice(plan(7), 300)))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    ]
    assert made == [f"{first(7, 300)}\n"] * 2


def test_everything_that_can_be_done_is_in_a_long_plan() -> None:
    acts = [step.act for step in first(1, MANY)]
    assert {(act.verb, act.way) for act in acts if isinstance(act, OfJob)} == {
        (verb, way) for verb in ("cancel", "retry", "wait") for way in WAYS
    }
    assert {act.verb for act in acts if isinstance(act, Fault)} == FAULTS.keys()
    assert {act.verb for act in acts if isinstance(act, Strike)} == STRIKES.keys()
    assert {act.point for act in acts if isinstance(act, Strike)} - {""} == POINTS.keys()
    assert {act.deed for act in acts if isinstance(act, Submit)} == DEEDS.keys()
    assert {act.type for act in acts if isinstance(act, Submit)} == TYPES.keys()
    assert {act.way for act in acts if isinstance(act, Submit)} == {*WAYS}
    assert any(isinstance(act, Command) and act.killed_after for act in acts)


def test_whoever_has_the_same_key_asks_for_the_same_job_but_for_some_mistakes() -> None:
    keyed: dict[str, list[Submit]] = {}
    for step in first(1, MANY):
        if isinstance(step.act, Submit) and step.act.key is not None:
            keyed.setdefault(step.act.key, []).append(step.act)
    for submits in keyed.values():
        assert len({tuple((asdict(each) | {"way": "", "priority": None}).values()) for each in submits}) == 1
    assert any({each.priority for each in submits} == {None, 7} for submits in keyed.values())


def test_ten_thousand_actions_hold_enough_kills() -> None:
    strikes = [step.act.verb for step in first(1, MANY) if isinstance(step.act, Strike)]
    assert sum(verb in ("kill", "kill both", "strike at") for verb in strikes) > 300
