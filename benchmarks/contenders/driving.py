"""What every contender can do, and the loop that does it: one JSON line in, one JSON line out."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

IMPORTABLE = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)}
"""For programs that import jobs from here by name."""


class Contender(Protocol):
    """One way to run jobs. What it does not offer raises NotOffered."""

    def start(self, concurrency: int) -> list[int]:
        """Be ready for jobs; the pids of the processes whose trees are all of it, a broker included."""

    def stop(self) -> None: ...

    def address(self) -> str:
        """By which clients in other processes find it."""

    def join(self, address: str) -> None:
        """Be such a client."""

    def bulk(self, number: int, path: str) -> None:
        """Have so many empty jobs to run, all at once: filling the queue is not what is measured."""

    def many(self, number: int, path: str) -> None:
        """Submit so many by the call that is meant for it."""

    def one(self, path: str, way: str) -> None:
        """Submit an empty job. `way` is one of several, where there are several."""

    def begin(self, chore: str, path: str) -> str:
        """Submit a job that stays (a function of `chores`); what `cancel` wants to know of it."""

    def cancel(self, handle: str, way: str) -> None: ...


class NotOffered(Exception):
    """It cannot do that."""


class Started:
    """Processes that a contender consists of, ended together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, name: str, command: Sequence[str], **more: str) -> int:
        """Start it in the folder, its output in a log there: its pid."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith("ASYNCWORKER_")}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=plain | more
            )
        self._running.append(process)
        return process.pid

    def end(self) -> None:
        """SIGTERM, last started first; SIGKILL where that takes longer than ten seconds."""
        for process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def until(fact: Callable[[], object], what: str, within: float = 90.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within:g} s for {what}")
        time.sleep(0.02)


def drive(contender: Contender, lines: Iterator[str]) -> None:
    """Do what each line asks for, until there are no more."""
    special: dict[str, Callable[..., Any]] = {
        "one": lambda path, way: _timed(lambda: contender.one(path, way)),
        "cancel": lambda handle, way: _timed(lambda: contender.cancel(handle, way)),
        "rate": lambda seconds, batch, path: _rate(contender, seconds, batch, path),
    }
    try:
        for line in lines:
            asked = json.loads(line)
            name = asked["call"]
            _answer(special.get(name) or getattr(contender, name), asked["arguments"])
    finally:
        contender.stop()


def _answer(call: Callable[..., Any], arguments: list[Any]) -> None:
    try:
        said = {"answer": call(*arguments)}
    except NotOffered:
        said = {"not_offered": True}
    except Exception as error:  # noqa: BLE001  whatever it is, the other side has to hear of it
        said = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _timed(call: Callable[[], None]) -> list[int]:
    """Nanoseconds of the monotonic clock before and after."""
    before = time.monotonic_ns()
    call()
    return [before, time.monotonic_ns()]


def _rate(contender: Contender, seconds: float, batch: int, path: str) -> float:
    """Submits per second, after a first that imports and connects."""

    def submit() -> None:
        if batch == 1:
            contender.one(path, "")
        else:
            contender.many(batch, path)

    submit()
    began = time.monotonic()
    done, passed = 0, 0.0
    while passed < seconds:
        submit()
        done += batch
        passed = time.monotonic() - began
    return done / passed
