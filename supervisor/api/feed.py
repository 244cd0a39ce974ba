"""Changes of jobs, as they happen: one reader of the database for all who listen."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from supervisor.api.database import Database
from supervisor.api.problems import unavailable
from supervisor.api.rendering import as_bytes, change_text
from supervisor.api.threads import Threads
from supervisor.store import changes
from supervisor.store.changes import Change

PAUSE = 0.1
"""Seconds between two looks, while anybody listens."""
PAUSE_AFTER_FAILURE = 1.0
MOST_LISTENERS = 64
MOST_WAITING = 1000
"""Events that wait for one slow listener before it is dropped; it can come back and go on where it was."""
AT_ONCE = 500

RESET = b"event: reset\ndata: {}\n\n"
"""Some changes are not kept any more: whoever counts on every one of them has to look anew."""


class Listener:
    """One who listens: what waits for it."""

    def __init__(self) -> None:
        self.ended = False
        """Dropped, or the server stops."""
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def give(self, event: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.end()
            self._waiting.clear()
        elif not self.ended:
            self._waiting.append(event)
            self._arrived.set()

    def end(self) -> None:
        self.ended = True
        self._arrived.set()

    async def take(self, within: float) -> bytes:
        """All that waits; nothing when nothing came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._arrived.wait()
        self._arrived.clear()
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken


@dataclass(frozen=True, slots=True)
class Joined:
    """Where a listener begins."""

    listener: Listener
    after: int
    upto: int
    """What lies between the two it has to catch up with by itself."""
    lost: bool
    """What it knows last is not kept any more, or is of another database."""


class Feed:
    """Looks for changes while anybody listens, and passes them to all."""

    def __init__(self, database: Database) -> None:
        self.threads = Threads("feed", 1)
        self._database = database
        self._listeners: set[Listener] = set()
        self._joining = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._newest = 0
        self._closed = False

    async def join(self, last: int | None) -> "Joined":
        """From the change after `last` on, or from now. Raises a Problem, 503, where too many listen."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise unavailable("Too many clients listen to events already.")
        async with self._joining:
            oldest, newest = await self.threads.run(self._kept)
            if not self._listeners:
                self._newest = newest
            listener = Listener()
            self._listeners.add(listener)
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
        if self._closed:
            listener.end()
        upto = self._newest
        is_kept = last is not None and oldest - 1 <= last <= max(upto, newest)
        after = last if last is not None and is_kept else upto
        return Joined(listener, after, upto, lost=last is not None and not is_kept)

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self) -> None:
        """Everybody's stream ends."""
        self._closed = True
        for listener in self._listeners:
            listener.end()

    async def missed(self, after: int, upto: int) -> AsyncIterator[bytes]:
        """What happened before one joined."""
        while after < upto:
            batch = await self.threads.run(lambda: self._after(after)[1])  # noqa: B023  (awaited at once)
            batch = [change for change in batch if change.number <= upto]
            if not batch:
                return
            yield b"".join(map(event, batch))
            after = batch[-1].number

    async def _look(self) -> None:
        while self._listeners and not self._closed:
            known = self._newest
            try:
                (oldest, newest), batch = await self.threads.run(lambda: self._after(known))  # noqa: B023
            except Exception:  # noqa: BLE001  (the database has said why, and this must go on)
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
                continue
            if self._newest != known:  # somebody has joined after everybody had left
                continue
            if oldest > known + 1 or newest < known:
                # So many at once that some are gone already; or another database, a restored backup.
                self._newest = min(known, newest)
                self._tell(RESET)
            for change in batch:
                self._tell(event(change))
                self._newest = change.number
            if len(batch) < AT_ONCE:
                await asyncio.sleep(PAUSE)

    def _tell(self, text: bytes) -> None:
        for listener in self._listeners:
            listener.give(text)

    def _kept(self) -> tuple[int, int]:
        with self._database.read() as tx:
            return changes.kept(tx)

    def _after(self, number: int) -> tuple[tuple[int, int], list[Change]]:
        with self._database.read() as tx:
            return changes.kept(tx), changes.after(tx, number, AT_ONCE)


def event(change: Change) -> bytes:
    return as_bytes(f"id: {change.number}\ndata: {change_text(change.job)}\n\n")
