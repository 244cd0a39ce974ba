"""A supervisor whose clock and keeper are scripted: its loop in microseconds, over a real SQLite file."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from supervisor.children import Child
from supervisor.errors import StoreUnavailable
from supervisor.jobtypes.records import JobType, JobTypes
from supervisor.journal import Journal
from supervisor.keeping import Keeping
from supervisor.liveness import Here
from supervisor.loop import Loop
from supervisor.notify import Notify
from supervisor.recovery import Recovery
from supervisor.settings import Locations, Settings
from supervisor.store import Store, Transaction, open_store
from supervisor.supervision import Supervision
from workers.frames import Frame
from workers.identity import Identity

HELD: Frame = {"isolation": "tree", "limits": []}
"""What a keeper says of itself when it is ready: it has no control groups."""


class ScriptedClock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.set_by = 0
        """Milliseconds by which somebody has set the clock of what is stored."""

    def now(self) -> int:
        return int(1_700_000_000_000 + self.seconds * 1000) + self.set_by

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class ScriptedKeeper:
    """Notes what it is told, and says what the test wants said."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 1_000_000 + number
        self.cookie = f"me:{number}"
        self.lost = False
        self.has_unsent = False
        self.orders: list[Frame] = []
        self.on_assign: Callable[[Frame], None] = lambda _: None
        self._said: list[Frame] = []
        self._closed = False

    def said(self, **frame: Any) -> None:
        self._said.append(frame)

    def reaped(self) -> bool:
        return self.lost

    def receive(self) -> list[Frame]:
        said, self._said = self._said, []
        return said

    def of(self, op: str) -> list[Frame]:
        """The orders of one kind, in order."""
        return [order for order in self.orders if order["op"] == op]

    def preload(self, targets: list[str], import_paths: list[str]) -> None:
        self.orders.append({"op": "preload", "targets": targets})

    def dismiss(self, child: int) -> None:
        self.orders.append({"op": "dismiss", "child": child})

    def start(self, child: int) -> None:
        self.orders.append({"op": "start", "child": child})

    def ping(self) -> None:
        self.orders.append({"op": "ping"})

    def assign(self, child: int, job: Frame, grace: float, directory: str | None) -> None:
        order = {"op": "assign", "child": child, "job": job, "grace": grace, "directory": directory}
        self.orders.append(order)
        self.on_assign(order)

    def terminate(self, child: int, reason: str, grace: float) -> None:
        self.orders.append({"op": "terminate", "child": child, "reason": reason, "grace": grace})

    def sweep(
        self,
        owner: str,
        children: list[Any],
        strays: list[Any],
        patience: float,
        silent: float | None = None,
    ) -> None:
        order = {"op": "sweep", "owner": owner, "children": children, "patience": patience}
        self.orders.append(order | {"silent": silent})

    def discard(self, directory: str) -> None:
        self.orders.append({"op": "discard", "directory": directory})

    def flush(self) -> None: ...

    def close(self) -> None:
        self._closed = True

    def is_closed(self) -> bool:
        """Whether the supervisor has hung up."""
        return self._closed

    def kill(self) -> None: ...

    def wait(self, seconds: float) -> bool:
        return True


class ScriptedSignals:
    arrived = 0
    hung_up = False


class FlakyStore:
    """A real store whose next transactions fail, before or after their commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fail_before_commit = 0
        self.fail_after_commit = 0
        self.fail_to_reopen = 0
        self.written = 0
        """Transactions begun."""
        self.fail_to_lock = 0

    @contextmanager
    def write(self, *, patient: bool = True) -> Iterator[Transaction]:
        self.written += 1
        with self._store.write(patient=patient) as tx:
            yield tx
            if self.fail_before_commit:
                self.fail_before_commit -= 1
                raise StoreUnavailable("the database is locked by a test")
        if self.fail_after_commit:
            self.fail_after_commit -= 1
            raise StoreUnavailable("the commit was not confirmed")

    def read(self) -> AbstractContextManager[Transaction]:
        return self._store.read()

    def data_version(self) -> int:
        return self._store.data_version()

    def file_is_ours(self) -> bool:
        return self._store.file_is_ours()

    def empty_log(self) -> None:
        self._store.empty_log()

    def try_become_checkpointer(self) -> bool:
        if self.fail_to_lock:
            self.fail_to_lock -= 1
            raise StoreUnavailable("no descriptor was left for the lock file")
        return self._store.try_become_checkpointer()

    def reopen(self) -> None:
        if self.fail_to_reopen:
            self.fail_to_reopen -= 1
            raise StoreUnavailable("the database was moved away by a test")
        self._store.reopen()


@dataclass
class Scripted:
    """Everything a test holds in its hands."""

    s: Supervision
    loop: Loop
    clock: ScriptedClock
    store: Store
    flaky: FlakyStore
    signals: ScriptedSignals
    log: StringIO
    keepers: list[ScriptedKeeper] = field(default_factory=list)

    @property
    def keeper(self) -> ScriptedKeeper:
        return self.keepers[-1]

    def tick(self, seconds: float = 2.0) -> None:
        self.clock.advance(seconds)
        self.loop.tick()

    def get_ready(self) -> None:
        """A keeper is there, recovery found nothing, spares wait at their gates."""
        self.tick()
        self.keeper.said(op="ready", pid=self.keeper.pid, preloaded=[], refused={}, **HELD)
        for _ in range(3):
            self.tick()
            self.start_children()
        self.keeper.said(op="pong")
        self.tick(0)

    def start_children(self) -> None:
        """Every child that was asked for says that it is started."""
        for child in self.s.children.starting():
            self.keeper.said(op="started", child=child.number, pid=500 + child.number, ticks=7, inode=None)
        self.tick()

    def end(self, child: Child, **more: Any) -> None:
        self.keeper.said(**ended(child.number, **more))


def ended(child: int, **more: Any) -> Frame:
    """An end record: a handler that returned null, unless `more` says otherwise."""
    return {
        "op": "ended",
        "child": child,
        "assigned": True,
        "status": 0,
        "report": {"kind": "returned", "result": "null", "interrupted": False},
        "broken": False,
        "leftovers": 0,
        "termination": None,
        "user_seconds": 0.1,
        "system_seconds": 0.1,
        "max_rss_bytes": 1,
        "isolation": "tree",
    } | more


@contextmanager
def scripted(folder: Path, *types: JobType) -> Iterator[Scripted]:
    """A supervisor of these job types in a folder of its own."""
    clock, log, keepers, signals = ScriptedClock(), StringIO(), list[ScriptedKeeper](), ScriptedSignals()

    def start(number: int) -> Any:
        keepers.append(ScriptedKeeper(number))
        return keepers[-1]

    identity = Identity.of(os.getpid())
    assert identity is not None
    locations = Locations.resolve(state_dir=folder, config=folder / "jobtypes.yaml")
    locations.make_state_dir()
    database = Path(locations.database)
    s = Supervision(
        uuid="me",
        settings=Settings(locations),
        job_types=JobTypes(
            (folder,), {job_type.name: job_type for job_type in types}, folder / "jobtypes.yaml"
        ),
        clock=clock,
        journal=Journal(log),
        keeping=Keeping(start),
        front=None,
        recovery=Recovery(),
        here=Here.current(database),
        me=identity,
        notify=Notify(),
    )
    # Two: what a test does to the database is to come from another connection than the loop's.
    with open_store(locations.database, supervisor=True) as its, open_store(locations.database) as ours:
        flaky = FlakyStore(its)
        loop = Loop(s, flaky, signals, None)  # type: ignore[arg-type]  # scripted, not real
        yield Scripted(s, loop, clock, ours, flaky, signals, log, keepers)
