"""One contender as the harness sees it: a program beside us that does what it is told, line by line."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measuring.processes import trees
from benchmarks.measuring.stamps import Stamps

ROOT = Path(__file__).resolve().parent.parent.parent
_SLOWEST = 600.0
"""Seconds for one answer: to put a million jobs on record takes one of them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Which program drives it, and in which virtual environment."""

    name: str
    module: str
    variant: str = ""
    needs: tuple[str, ...] = ()
    """Modules of the environment of the peers."""
    redis: bool = False


class NotOffered(Exception):
    """It cannot do what was asked for."""


class Broken(Exception):
    """It did not do what was asked for."""


class Contender:
    """A contender in a folder of its own. Whatever happens, nothing of it is left at the end."""

    def __init__(self, kind: Kind, python: Path) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="asyncworker-bench-"))
        variant = [kind.variant] if kind.variant else []
        with (self.folder / "driver.log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.contenders", kind.module, self.folder, *variant],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.roots: list[int] = []
        self._stamps = 0

    def stamps(self) -> Stamps:
        """A new, empty file for jobs to write to."""
        self._stamps += 1
        return Stamps(self.folder, f"stamps-{self._stamps}")

    def start(self, concurrency: int) -> None:
        self.roots = self.call("start", concurrency)
        # The first job of all meets caches, imports and spares that none after it does.
        stamps = self.stamps()
        self.call("bulk", concurrency, str(stamps.path))
        stamps.wait(concurrency, 60)
        time.sleep(0.3)

    def call(self, name: str, *arguments: Any) -> Any:
        self.tell(name, *arguments)
        return self.answer()

    def tell(self, name: str, *arguments: Any) -> None:
        """Without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": name, "arguments": arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], _SLOWEST)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise Broken(f"{self.kind.name} gave no answer: {self._last_words()}")
        said = json.loads(line)
        if "not_offered" in said:
            raise NotOffered(self.kind.name)
        if "error" in said:
            raise Broken(f"{self.kind.name}: {said['error']}: {self._last_words()}")
        return said["answer"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        tree = trees([self._process.pid])
        try:
            with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
                self._process.stdin.close()
                self._process.wait(30)
        finally:  # also where a second Ctrl-C ends the wait
            if self._process.poll() is None:
                _kill(tree)
                self._process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _last_words(self) -> str:
        texts = [log.read_text(errors="replace").strip()[-400:] for log in self.folder.glob("*.log")]
        return " | ".join(text for text in texts if text) or "its logs are empty"


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
