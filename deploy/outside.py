"""The service as a stranger meets it: its command, the JSON that it prints, and /proc."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("asyncworker")
CONFIG = Path(__file__).resolve().with_name("demo.yaml")
PATIENCE = 45.0
"""Seconds after which a wait is given up, on however slow a machine."""

Job = dict[str, Any]


class Broken(Exception):
    """The demo cannot go on."""


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one with the same pid by its start time (proc_pid_stat(5))."""

    pid: int
    ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        state_and_more = _stat(pid)
        return cls(pid, int(state_and_more[19]) if state_and_more else 0)

    def runs(self) -> bool:
        now = _stat(self.pid)
        return bool(now) and int(now[19]) == self.ticks and now[0] not in "ZX"


def below(root: int) -> list[Process]:
    """Its children, their children, and so on."""
    parents = {int(name): _stat(int(name))[1:2] for name in os.listdir("/proc") if name.isdigit()}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == [str(pid)]]
    return [Process.of(pid) for pid in found[1:]]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


class Service:
    """One installation in a folder of its own, used through the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        theirs = {key: value for key, value in os.environ.items() if not key.startswith("ASYNCWORKER_")}
        self._environment = theirs | {
            "ASYNCWORKER_STATE_DIR": str(folder / "state"),
            "ASYNCWORKER_CONFIG": str(CONFIG),
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.seen: set[Process] = set()
        """Every process that was met: all of them must be gone in the end."""

    def ask(self, *words: str) -> Any:
        """Run a command, and give the JSON that it prints."""
        return self.ask_together([words])[0]

    def ask_together(self, commands: list[tuple[str, ...]]) -> list[Any]:
        running: list[subprocess.Popen[bytes]] = []
        try:
            for words in commands:
                line = [str(COMMAND), *words, "--json"]
                pipe = subprocess.PIPE
                running.append(subprocess.Popen(line, stdout=pipe, stderr=pipe, env=self._environment))
            spoken = [each.communicate(timeout=PATIENCE) for each in running]
        finally:
            for each in running:  # interrupted: they must not go on in a folder that is being removed
                each.kill()
                each.wait()
        for process, words, (_, complaint) in zip(running, commands, spoken, strict=True):
            if process.returncode != 0:
                said = complaint.decode(errors="replace").strip()
                raise Broken(f"asyncworker {' '.join(words)} ended with {process.returncode}: {said}")
        return [json.loads(answer) for answer, _ in spoken]

    def jobs(self) -> dict[str, Job]:
        self.processes()
        return {job["id"]: job for job in self.ask("list", "--page-size", "100")["items"]}

    def processes(self) -> list[Process]:
        """Everything that the service has started: its keeper, and below that the jobs."""
        started = [] if self._supervisor is None else below(self._supervisor.pid)
        self.seen.update(started)
        return started

    def start(self) -> None:
        """Start it, and wait until it says that it runs."""
        with (self.folder / "service.log").open("ab") as log:
            # A session of its own: a Ctrl-C here is for the demo, which then stops the service.
            self._supervisor = subprocess.Popen(
                [COMMAND, "serve", "--no-http"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        process = Process.of(self._supervisor.pid)
        self.seen.add(process)

        def runs() -> bool:
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise Broken("the service ended by itself")
            return any(
                each["pid"] == process.pid and each["state"] == "running"
                for each in self.ask("status")["supervisors"]
            )

        until(runs, "the service to start")
        self.processes()

    def kill(self) -> None:
        """SIGKILL: it cannot be caught, and nothing can be said or done before it."""
        if self._supervisor is not None:
            self._supervisor.kill()
            self._supervisor.wait()
            self._supervisor = None

    def log(self) -> str:
        """The end of what the service has logged."""
        try:
            return (self.folder / "service.log").read_text(errors="replace")[-2000:]
        except OSError:
            return ""

    def end(self) -> list[Process]:
        """Stop it at once; what has to be killed all the same is returned."""
        if self._supervisor is not None:
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                for _ in range(3):  # stop, do not wait for jobs, do not wait for their grace
                    self._supervisor.terminate()
                    time.sleep(0.05)
                self._supervisor.wait(15)
            self.kill()
        with contextlib.suppress(Broken):
            until(lambda: not any(map(Process.runs, self.seen)), "everything to end", 5)
        left = [process for process in self.seen if process.runs()]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return left


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Wait for it, and give the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise Broken(f"waited {seconds:g} s for {what}")
        time.sleep(0.01)
    return time.monotonic() - began
