"""A real keeper on a socketpair, and jobs for it that a test writes down as source text."""

import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import JobStatus
from supervisor.outcome import End, Outcome, decide
from tests.support import processes
from workers import subtree
from workers.assignment import Assignment
from workers.channel import Channel
from workers.confinement import Confinement
from workers.frames import Frame
from workers.identity import Identity
from workers.limits import Limits
from workers.subtree import ISOLATION
from workers.trees import COOKIE, left_by

WITHIN = 30.0
"""Seconds until a test gives up: far more than anything takes, even on a busy machine."""
GRACE = 0.3
EACH_LEVEL = pytest.mark.parametrize("isolation", ["cgroup", "tree"], scope="module", indirect=True)
"""On a file of tests: all of them, at each level of isolation that the host can give."""

WITH_GROUPS = pytest.mark.parametrize("isolation", ["cgroup"], scope="module", indirect=True)
WITHOUT_GROUPS = pytest.mark.parametrize("isolation", ["tree"], scope="module", indirect=True)
"""On a test: what can be at one of them only."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known of a child that has ended."""

    frame: Frame
    progress: list[Frame]
    log: str

    @property
    def end(self) -> End:
        return End.from_frame(self.frame)

    @property
    def outcome(self) -> Outcome:
        return decide(self.end)

    @property
    def value(self) -> Any:
        """What the handler returned."""
        assert self.outcome.status is JobStatus.COMPLETED, f"{self.outcome}\n{self.log}"
        return json.loads(self.outcome.result or "")


class TestKeeper:
    """The supervisor's side of a keeper process. Frames that nobody waited for are kept."""

    __test__ = False

    def __init__(self, folder: Path, isolation: str = "cgroup", through: Sequence[str] = ()) -> None:
        """`isolation`: the strongest that it may use; what the host has not got is done without.

        `through`: a program, with arguments, that executes what it is given.
        """
        self.folder = folder
        self.isolation = isolation if groups_can_be_made() else "tree"
        self.owner = str(uuid.uuid4())
        self.cookie = f"{self.owner}:1"
        self.frames: list[Frame] = []
        self.errors = folder / "keeper.err"
        self.who: dict[int, Identity] = {}
        """Who each child was when it started."""
        self._numbers = itertools.count(1)
        ours, theirs = socket.socketpair()
        with theirs, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*through, sys.executable, "-P", "-m", "workers.keeper", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=_environment() | {COOKIE: self.cookie, ISOLATION: isolation},
                cwd="/",
                start_new_session=True,
            )
        self.channel = Channel(ours.detach())

    @property
    def pid(self) -> int:
        return self.process.pid

    @cached_property
    def limits(self) -> list[str]:
        """What its groups can hold a job to."""
        self.order("preload", targets=[], import_paths=[])
        held: list[str] = self.wait("ready")["limits"]
        return held

    # Speaking

    def order(self, op: str, **arguments: Any) -> None:
        self.channel.send({"op": op, **arguments})

    def start(self) -> int:
        """A spare, once it is started."""
        child = next(self._numbers)
        self.order("start", child=child)
        started = self.wait("started", child)
        self.who[child] = Identity(started["pid"], started["ticks"], started["inode"])
        return child

    def run(
        self, source: str = "", *, payload: str = "null", grace: float = GRACE, **other: Any
    ) -> "RunningJob":
        """Start a child and assign a job: `handler` of the module with this source."""
        child = self.start()
        job = self.job(source, payload, **other)
        self.order(
            "assign",
            child=child,
            job=job.to_frame(),
            grace=grace,
            directory=job.directory if job.private_directory else None,
        )
        return RunningJob(self, child, job)

    def job(self, source: str = "", payload: str = "null", **other: Any) -> Assignment:
        """An assignment; `other` are its fields."""
        number = next(self._numbers)
        values: dict[str, Any] = {
            "job_id": str(uuid.UUID(int=number)),
            "job_type": "TestJob",
            "attempt": 1,
            "payload": payload,
            "options": {},
            "handler": None if "command" in other else f"{self.module(source)}:handler",
            "command": None,
            "import_paths": [str(self.folder / "code")],
            "log": str(self.folder / "logs" / f"{number}.log"),
            "output_limit": 10 * 2**20,
            "directory": str(self.folder / "work" / str(number)),
            "private_directory": True,
            "environment": _environment() | {COOKIE: self.cookie},
            "nice": 0,
            "timeout": None,
            "grace": GRACE,
            "limits": Limits(),
            "confinement": Confinement(),
        }
        return Assignment(**values | other)

    def module(self, source: str) -> str:
        """Name of a new module with this source."""
        name = f"job_{next(self._numbers)}"
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    # Hearing

    def wait(self, op: str, child: int | None = None, within: float = WITHIN) -> Frame:
        """The first frame of this kind (of this child), taken out of those that have come."""

        def wanted(frame: Frame) -> bool:
            return frame["op"] == op and child in (None, frame.get("child"))

        frame: Frame = self.until(lambda: next(filter(wanted, self.frames), None), within)
        self.frames.remove(frame)
        return frame

    def until(self, fact: Callable[[], Any], within: float = WITHIN) -> Any:
        """Hear until the fact is there, and give it."""
        deadline = time.monotonic() + within
        while not (seen := fact()):
            assert not self.channel.closed, f"the keeper is gone: {self.errors.read_text()}"
            assert time.monotonic() < deadline, f"not within {within:g} seconds; heard: {self.frames}"
            self.hear(0.02)
        return seen

    def hear(self, seconds: float = 0.0) -> None:
        writers = [self.channel] if self.channel.has_unsent else []
        readable, writable, _ = select.select([self.channel], writers, [], seconds)
        if writable:
            self.channel.flush()
        if readable:
            self.frames += self.channel.receive()

    # Looking

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def children(self) -> list[int]:
        """Pids of its children, zombies too."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def hang_up(self, within: float = WITHIN) -> None:
        """As at the end of a supervisor: the keeper ends everything, and itself."""
        self.channel.close()
        self.process.wait(within)


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job in a child of the keeper."""

    keeper: TestKeeper
    child: int
    job: Assignment

    @property
    def who(self) -> Identity:
        return self.keeper.who[self.child]

    @property
    def log(self) -> str:
        path = Path(self.job.log)
        return path.read_text(errors="replace") if path.is_file() else ""

    @property
    def directory(self) -> Path:
        return Path(self.job.directory)

    def says(self, text: str) -> None:
        """Wait until its log has this text."""
        self.keeper.until(lambda: text in self.log or self._has_ended())
        assert text in self.log

    def _has_ended(self) -> bool:
        return any(frame["op"] == "ended" and frame["child"] == self.child for frame in self.keeper.frames)

    def terminate(self, reason: str = "cancel", grace: float = GRACE) -> None:
        self.keeper.order("terminate", child=self.child, reason=reason, grace=grace)

    def ended(self, within: float = WITHIN) -> Ended:
        frame = self.keeper.wait("ended", self.child, within)
        heard = self.keeper.frames
        progress = [frame for frame in heard if frame["op"] == "progress" and frame["child"] == self.child]
        return Ended(frame, progress, self.log)


@contextlib.contextmanager
def keeper_in(folder: Path, isolation: str = "cgroup", through: Sequence[str] = ()) -> Iterator[TestKeeper]:
    """A keeper that is gone afterwards, with everything that it had, and has complained of nothing."""
    keeper = TestKeeper(folder, isolation, through)
    try:
        yield keeper
        if keeper.process.poll() is None:
            keeper.hang_up()
            assert list(left_by(keeper.owner, [])) == []
            assert keeper.errors.read_text() == ""
    finally:
        keeper.channel.close()
        if keeper.process.poll() is None:
            keeper.process.kill()
        keeper.process.wait()
        processes.end(*left_by(keeper.owner, []))
        subtree.end(keeper.owner)


@lru_cache(maxsize=1)
def groups_can_be_made() -> bool:
    """Whether a keeper finds control groups here that can be ended at once."""
    found = subtree.Subtree(f"{uuid.uuid4()}:1")
    try:
        return found.isolation == "cgroup"
    finally:
        found.remove()


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
