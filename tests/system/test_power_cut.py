"""The power goes at any moment: what was acknowledged or announced before is there afterwards.

Clients and a service are recorded by strace(1), all their writes, syncs and promises in one order. From that
the disk is made anew as it may have been at each moment, and opened by the real store.
"""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from supervisor.errors import StoreUnavailable
from supervisor.store import open_store
from tests.support import disk, recorded, strace
from tests.support.history import read, ruled
from tests.support.service import LIMITS, TYPES, Service
from tests.torture.checker import violations

EVERY = bool(os.environ.get("ASYNCWORKER_EVERY_POWER_CUT"))
"""Every moment instead of some, and with the http server."""
SEED = 1
"""Of the choice of moments, and of what reached the disk without being synced."""


@dataclass
class Promised:
    """What somebody had been told, or had done, when the power went."""

    jobs: list[str] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, call: strace.Call, said: Path, runs: Path) -> bool:
        """At the beginning of a write: the other side may know before it has ended."""
        if call.name != "write" or call.result is not None:
            return False
        path = call.path()
        if path == str(said):
            for line in call.data().decode().splitlines():
                self._say(*line.partition(" ")[::2])
        elif path == str(runs):
            self.notes.append(json.loads(call.data()))
        else:
            return False
        return True

    def _say(self, what: str, rest: str) -> None:
        if what == "submitted":
            self.jobs.append(rest.strip())
        elif what == "cancelled":
            self.statuses[rest.strip()] = "Cancelled"
        elif what == "requested":
            self.requested.append(rest.strip())
        elif what.startswith("{"):
            event = json.loads(f"{what} {rest}")
            if event["event"] == "job_ended":
                self.statuses[event["job"]] = event["status"]


class Recording:
    """What clients and a service did, and the disk as it may be after each moment of it."""

    def __init__(self, folder: Path, who: str, how: str = "") -> None:
        self.folder = folder
        self.log = folder / "calls"
        self.said = folder / "said"
        self.service = Service(folder, TYPES, state_dir=folder / "disk" / "new" / "state")
        (folder / "disk").mkdir(parents=True)
        traced = ["strace", "-f", "--seccomp-bpf", *strace.WHOLE, "-e", f"trace={disk.TRACED}"]
        command = [*recorded.COMMAND, str(self.service.state_dir), str(self.said), who, how]
        with self.said.open("ab") as said:
            subprocess.run(
                [*traced, "-o", str(self.log), *command],
                cwd=recorded.ROOT,
                env=self.service.environment(ASYNCWORKER_HTTP=""),
                stderr=said,
                timeout=100,
                check=True,
            )

    def cuts(self, chance: random.Random, share: float) -> Iterator[tuple[int, Path, Promised]]:
        """The database after a power cut, and what had been promised by then; of a share of all moments,
        and of fewer of those before the first promise.

        Twice each: as it is if nothing but what was synced is there, and if half of the rest is, too.
        """
        base, promised = disk.Disk(self.folder / "disk"), Promised()
        memory = Path("/dev/shm")  # what is made anew need not be written to any disk
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            for number, call in enumerate(strace.calls(self.log)):
                news = promised.hear(call, self.said, self.service.runs)
                if (base.hear(call) or news) and chance.random() < (share if promised.jobs else share / 10):
                    for keep in (disk.nothing, lambda: chance.random() < 0.5):
                        after = Path(folder) / "after"
                        base.cut(keep, after)
                        yield number, after / "new" / "state" / "jobs.db", promised
                        shutil.rmtree(after)


def broken(database: Path, promised: Promised) -> list[str]:
    """Every sentence is a promise that the cut has broken."""
    if not database.exists():
        return [f"{job} was acknowledged, and there is no database" for job in promised.jobs]
    try:
        open_store(str(database), create=False).close()
    except StoreUnavailable as error:
        return [f"it does not open: {error}"]
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as sql:
        found = [str(row) for row in sql.execute("PRAGMA integrity_check") if row != ("ok",)]
        found += [f"foreign key: {row}" for row in sql.execute("PRAGMA foreign_key_check")]
        history = ruled(read(sql, promised.notes), promised.jobs, LIMITS)
    found += violations(history)
    found += [
        f"{job} was announced as {status}"
        for job, status in promised.statuses.items()
        if job in history.jobs and history.jobs[job]["status"] != status
    ]
    return found + [
        f"the request to cancel {job} is lost"
        for job in promised.requested
        if job in history.jobs and history.jobs[job]["cancel_requested_at"] is None
    ]


def all_broken(recording: Recording, share: float) -> Iterator[str]:
    for number, database, promised in recording.cuts(random.Random(SEED), share):
        for what in broken(database, promised):
            yield f"at {number}: {what}"


@pytest.mark.timeout(900 if EVERY else 120)
def test_whenever_the_power_goes_nothing_that_was_promised_is_lost(tmp_path: Path) -> None:
    strace.needs_strace()
    recording = Recording(tmp_path, recorded.SERVICE if EVERY else recorded.NO_HTTP)
    assert list(all_broken(recording, 1.0 if EVERY else 0.03)) == []


@pytest.mark.parametrize("how", [recorded.NORMAL, recorded.NO_FOLDERS])
def test_what_is_promised_without_being_synced_is_found_to_be_lost(tmp_path: Path, how: str) -> None:
    strace.needs_strace()
    lost = all_broken(Recording(tmp_path, recorded.CLIENTS, how), 0.5)
    assert any("is lost" in what or "there is no database" in what for what in lost)
