"""What containment costs: milliseconds a job with and without control group, limits, sandbox, another user.

`python -P benchmarks/containment.py [--rounds N] [--jobs N] [--json]`. A real keeper, one job after the
other, the kinds in turn, so that whatever else the machine does falls on all of them alike. There is no
database and no supervisor.
"""

import argparse
import contextlib
import itertools
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from workers.assignment import Assignment
from workers.channel import Channel
from workers.confinement import Confinement
from workers.frames import Frame
from workers.limits import Limits
from workers.subtree import ISOLATION
from workers.trees import COOKIE

MIB = 2**20
MODULE = "def nothing(payload): return None\n"
ANOTHER = "65534"
"""A user, and a group, that every host has: nobody."""
WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to hold a job."""

    name: str
    isolation: str = "cgroup"
    limits: Limits = field(default_factory=Limits)
    confinement: Confinement = field(default_factory=Confinement)


KINDS = (
    Kind("tree: no control group", isolation="tree"),
    Kind("control group"),
    Kind("and limits of memory, processes, files", limits=Limits(512 * MIB, None, 100, 256, 64 * MIB)),
    Kind("and cpu_time", limits=Limits(512 * MIB, 60.0, 100, 256, 64 * MIB)),
    Kind("control group, another user", confinement=Confinement(user=ANOTHER, group=ANOTHER)),
    Kind("control group, sandbox: network", confinement=Confinement(network=False)),
    Kind("control group, sandbox: private_tmp", confinement=Confinement(private_tmp=64 * MIB)),
    Kind(
        "control group, sandbox: all of it",
        confinement=Confinement(network=False, private_tmp=64 * MIB, read_only=True),
    ),
    Kind(
        "tree, sandbox: all of it",
        "tree",
        confinement=Confinement(network=False, private_tmp=64 * MIB, read_only=True),
    ),
)


@dataclass(slots=True)
class Row:
    """What jobs of one kind took, in milliseconds; medians, where nothing else is said."""

    kind: str
    held_by: str = ""
    jobs: int = 0
    start: float = 0.0
    """To make a child, and its group: done before there is a job for it."""
    job: float = 0.0
    """From the job's assignment to the report that nothing of it is left."""
    start_at_best: float = 0.0
    job_at_best: float = 0.0
    """The tenth of them that was fastest: as on an idle machine, however busy this one is."""
    processor: float = 0.0
    """Processor time of keeper and child together, a job. The mean."""
    refused: str | None = None
    """Why this host does not start such jobs."""


class Keeper:
    """The supervisor's side of one keeper."""

    def __init__(self, folder: Path, isolation: str) -> None:
        self._folder, self._numbers = folder, itertools.count(1)
        self._cookie = f"{uuid.uuid4()}:1"
        self._heard: list[Frame] = []
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers.keeper", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ.get("PATH", ""), COOKIE: self._cookie, ISOLATION: isolation},
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        self._channel = Channel(ours.detach())
        self._channel.send({"op": "preload", "targets": [], "import_paths": []})
        self.limits = set(self._wait("ready")["limits"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.wait(WITHIN)

    def run(self, kind: Kind) -> tuple[float, float, Frame]:
        """Seconds to start a child, seconds that a job in it took, and its end record."""
        child, began = next(self._numbers), time.perf_counter()
        self._channel.send({"op": "start", "child": child})
        self._wait("started")
        started = time.perf_counter()
        time.sleep(0.005)  # as a spare it would be at its gate by now
        job = self._job(child, kind)
        assigned = time.perf_counter()
        order = {
            "op": "assign",
            "child": child,
            "job": job.to_frame(),
            "grace": 5.0,
            "directory": job.directory,
        }
        self._channel.send(order)
        end = self._wait("ended")
        return started - began, time.perf_counter() - assigned, end

    def processor_seconds(self) -> float:
        """Of the keeper and of all that it has reaped: fields 14 to 17 of proc_pid_stat(5)."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = text[text.rindex(")") + 2 :].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def _job(self, child: int, kind: Kind) -> Assignment:
        return Assignment(
            job_id=str(uuid.UUID(int=child)),
            job_type="Nothing",
            attempt=1,
            payload="null",
            options={},
            handler="nothing:nothing",
            command=None,
            import_paths=[str(self._folder / "code")],
            log=str(self._folder / "logs" / f"{self._cookie}.{child}.log"),
            output_limit=MIB,
            directory=str(self._folder / "work" / f"{self._cookie}.{child}"),
            private_directory=True,
            environment={"PATH": os.environ.get("PATH", ""), COOKIE: self._cookie},
            nice=0,
            timeout=None,
            grace=5.0,
            confinement=kind.confinement,
            limits=kind.limits,
        )

    def _wait(self, op: str) -> Frame:
        deadline = time.monotonic() + WITHIN
        while True:
            for frame in self._heard:
                if frame["op"] == op:
                    self._heard.remove(frame)
                    return frame
            if self._channel.closed or time.monotonic() > deadline:
                raise SystemExit(f"the keeper does not say {op}")
            select.select([self._channel], [], [], 1.0)
            self._heard += self._channel.receive()


def measure(rounds: int = 7, jobs: int = 20, kinds: Sequence[Kind] = KINDS) -> list[Row]:
    """All kinds, a block of jobs of each in turn, and that `rounds` times; the first block only warms up."""
    starts: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    took: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    rows = {kind.name: Row(kind.name) for kind in kinds}
    with _keepers({kind.isolation for kind in kinds}) as keepers:
        for turn in range(rounds + 1):
            for kind in kinds:
                row, keeper = rows[kind.name], keepers[kind.isolation]
                if row.refused:
                    continue
                before = keeper.processor_seconds()
                for _ in range(jobs if turn else 1):
                    start, seconds, end = keeper.run(kind)
                    if (end["report"] or {}).get("kind") != "returned":
                        row.refused = str((end["report"] or {}).get("message"))
                        break
                    if turn:
                        starts[kind.name].append(1000 * start)
                        took[kind.name].append(1000 * seconds)
                    row.held_by = end["isolation"]
                if turn:
                    row.processor += 1000 * (keeper.processor_seconds() - before)
    for name, row in rows.items():
        if not row.refused:
            row.jobs = len(took[name])
            row.start, row.job = statistics.median(starts[name]), statistics.median(took[name])
            row.start_at_best, row.job_at_best = _fastest(starts[name]), _fastest(took[name])
            row.processor /= row.jobs
    return list(rows.values())


def _fastest(milliseconds: Sequence[float]) -> float:
    return statistics.quantiles(milliseconds, n=10)[0]


@contextlib.contextmanager
def _keepers(isolations: set[str]) -> Iterator[dict[str, Keeper]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o755)  # for jobs of another user
        (folder / "code").mkdir()
        (folder / "code" / "nothing.py").write_text(MODULE)
        yield {each: stack.enter_context(Keeper(folder, each)) for each in sorted(isolations)}


def table(rows: Sequence[Row]) -> str:
    """As it stands in docs/performance.md."""
    lines = ["| kind | held by | start, at best | start | job, at best | job | processor |", "|---" * 7 + "|"]
    for row in rows:
        if row.refused:
            lines.append(f"| {row.kind} | not on this host: {row.refused} | | | | | |")
        else:
            figures = (row.start_at_best, row.start, row.job_at_best, row.job, row.processor)
            lines.append(f"| {row.kind} | {row.held_by} | {' | '.join(f'{each:.1f}' for each in figures)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=20, help="of each kind, in each round")
    parser.add_argument("--json", action="store_true", help="instead of the table")
    asked = parser.parse_args()
    rows = measure(asked.rounds, asked.jobs)
    told: Any = json.dumps([asdict(row) for row in rows], indent=1) + "\n" if asked.json else table(rows)
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
