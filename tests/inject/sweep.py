"""`make inject`: every fault at every call of every scene, number after number until it is never reached.

Results are kept, a line each, so that a sweep can be broken off and taken up again with --resume.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from supervisor.errors import AsyncWorkerError
from tests.inject import faults
from tests.inject.faults import Fault
from tests.inject.ground import Ground, ground
from tests.inject.scenes import SCENES, SURVIVED, Struck, settled
from tests.inject.zygote import Zygote
from tests.support import strace

Result = dict[str, Any]

DENSE = 20
"""So many calls of each name are struck one by one in any case."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make inject", description=__doc__)
    parser.add_argument("--scene", choices=SCENES, action="append", help="only these")
    parser.add_argument("--call", action="append", help="only these system calls")
    parser.add_argument("--answer", action="append", help="only these errors, or KILL")
    parser.add_argument("--number", type=int, help="only this call: to see one strike again")
    parser.add_argument(
        "--every", type=int, default=1, help=f"beyond the first {DENSE}, only every so manieth call"
    )
    parser.add_argument("--results", type=Path, default=Path(".inject.jsonl"))
    parser.add_argument("--plan", action="store_true", help="only count the calls")
    parser.add_argument("--resume", action="store_true", help="leave out what is in the results already")
    given = parser.parse_args()
    if reason := strace.refused():
        print(f"Nothing can be injected: {reason}.", file=sys.stderr)
        return 2
    if not given.resume:
        given.results.unlink(missing_ok=True)
    zygote = Zygote()
    try:
        for scene in given.scene or SCENES:
            _sweep(scene, zygote, given)
    finally:
        zygote.close()
    return summary(_read(given.results))


def _sweep(scene: str, zygote: Zygote, given: argparse.Namespace) -> None:
    with Stage(scene, zygote) as stage:
        made = _made(stage)
        strikes = {call: number * len([*faults.of(call)]) for call, number in made.items()}
        print(
            f"{scene}: {sum(strikes.values())} strikes to come; calls: {dict(made.most_common())}", flush=True
        )
        for call, count in [] if given.plan else sorted(made.items()):
            for answer in faults.of(call):
                if call in (given.call or [call]) and answer in (given.answer or [answer]):
                    _series(stage, call, answer, count, given)


class Stage:
    """A scene on a ground, which is left for another one when something has gone wrong on it."""

    def __init__(self, scene: str, zygote: Zygote) -> None:
        self.scene = scene
        self._zygote = zygote
        self._here = ExitStack()
        self._ground: Ground | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()

    def play(self, fault: Fault | None) -> Struck:
        """Raises what is wrong afterwards."""
        if self._ground is None:
            folder = self._here.enter_context(tempfile.TemporaryDirectory(prefix="asyncworker-inject-"))
            self._ground = self._here.enter_context(ground(Path(folder) / "ground", self._zygote))
        try:
            return SCENES[self.scene](self._ground, fault)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        self._ground = None
        self._here.close()

    def settle(self) -> None:
        """All that was acknowledged on it comes to its end."""
        if self._ground is not None:
            settled(self._ground)


def _made(stage: Stage) -> Counter[str]:
    """The calls that are made where nothing strikes."""
    stage.play(None)  # the first time is another: it makes the database
    struck = stage.play(None)
    assert struck.how == SURVIVED, struck.how
    return struck.calls


def _series(stage: Stage, call: str, answer: str, count: int, given: argparse.Namespace) -> None:
    """One number after the other, until it is not reached any more."""
    known = [r for r in _read(given.results) if _name(r) == (stage.scene, call, answer)]
    done = {r["number"] for r in known}
    over = max((r["number"] for r in known if not r["reached"] and r["number"] > count), default=math.inf)
    for number in [given.number] if given.number else _numbers(given.every):
        if number > over:
            break
        if number in done:
            continue
        result = _strike(stage, Fault(call, answer, number))
        with given.results.open("a") as results:
            print(json.dumps(result), file=results)
        print(
            f"{stage.scene:<24} {call:>14} {number:>4} {answer:<9} {result['problem'] or result['how']}",
            flush=True,
        )
        if not result["reached"] and number > count:
            break
    try:
        stage.settle()
    except AssertionError as error:
        stage.leave()
        with given.results.open("a") as results:
            print(json.dumps(_result(stage, Fault(call, answer, 0), problem=str(error))), file=results)


def _numbers(every: int) -> Iterator[int]:
    yield from range(1, DENSE)
    yield from itertools.count(DENSE, every)


def _strike(stage: Stage, fault: Fault) -> Result:
    began = time.monotonic()
    try:
        struck = stage.play(fault)
    except (AssertionError, subprocess.TimeoutExpired, AsyncWorkerError) as error:
        return _result(
            stage, fault, problem=f"{type(error).__name__}: {error}", seconds=time.monotonic() - began
        )
    reached = struck.calls[fault.call] >= fault.number
    problem = "" if reached or struck.how == SURVIVED else f"nothing struck it, and it ended: {struck.how}"
    if problem:
        stage.leave()
    seconds = time.monotonic() - began
    return _result(stage, fault, how=struck.how, reached=reached, problem=problem, seconds=seconds)


def _result(stage: Stage, fault: Fault, **facts: Any) -> Result:
    plain = {"how": "", "reached": True, "problem": "", "seconds": 0.0}
    return {"scene": stage.scene, **asdict(fault), **plain, **facts}


def _name(result: Result) -> tuple[str, str, str]:
    return result["scene"], result["call"], result["answer"]


def _read(results: Path) -> list[Result]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def summary(results: list[Result]) -> int:
    """A line for each scene, and whatever was wrong: the exit code."""
    for scene in SCENES:
        struck = [r for r in results if r["scene"] == scene and r["reached"]]
        calls = {r["call"] for r in struck}
        ways = Counter("ended with a sentence" if r["how"].startswith("Error") else r["how"] for r in struck)
        told = ", ".join(f"{number} {how or 'wrong'}" for how, number in ways.most_common())
        if struck:
            print(f"{scene}: {len(struck)} strikes at {len(calls)} calls: {told}")
    wrong = [r for r in results if r["problem"]]
    for result in wrong:
        first = result["problem"].splitlines()[0][:300]
        print(f"WRONG {result['scene']}, {result['call']} {result['number']} {result['answer']}: {first}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
