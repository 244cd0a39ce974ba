"""`GET /api/jobs/{id}/log?follow=true`: what a job prints, as it prints it, until it has ended."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from supervisor.api.problems import Problem, unavailable
from supervisor.api.threads import Threads
from supervisor.errors import StoreUnavailable, UnreadableLog
from supervisor.lifecycle import JobStatus
from supervisor.logfile import Following
from supervisor.settings import Locations
from supervisor.store.records import Job

ENDLESS = 2**53 - 1
"""The end of a range whose end nobody knows yet: the number that RFC 8673 recommends."""
MOST_FOLLOWERS = 32
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between two looks at a log that is not growing."""


class Followers:
    """All who follow. None of them has a thread while it waits."""

    def __init__(self) -> None:
        self.threads = Threads("follow", 2)
        self._ends: set[asyncio.Event] = set()
        self._closed = False

    @contextmanager
    def joined(self) -> Iterator[asyncio.Event]:
        """One more; the event is set when it is to end. Raises a Problem, 503, where too many follow."""
        if len(self._ends) >= MOST_FOLLOWERS:
            raise unavailable("Too many clients follow logs already.")
        end = asyncio.Event()
        self._ends.add(end)
        if self._closed:
            end.set()
        try:
            yield end
        finally:
            self._ends.discard(end)

    def close(self) -> None:
        """Everybody's stream ends."""
        self._closed = True
        for end in self._ends:
            end.set()


class Output:
    """What a job prints, attempt after attempt, or of one attempt alone. Its methods block: for a thread."""

    def __init__(
        self, locations: Locations, find: Callable[[], Job], attempt: int | None, known: int = 0
    ) -> None:
        """`find` gives the job as it is now. Raises Problems as it does, and 404 without such an attempt.

        `known`: bytes that the client has had before.
        """
        job = find()
        if attempt is not None and attempt > job.attempt:
            raise no_such_attempt(job)
        self.is_over = False
        self._locations = locations
        self._find = find
        self._known = known
        self._job = job
        self._only = attempt is not None
        self._number = attempt or max(1, job.attempt)
        self._log = self._log_of_attempt()
        try:
            self._log.open()
        except UnreadableLog as error:
            raise unreadable() from error
        self._attempt_is_over = False
        self._look_at = 0.0

    def read(self) -> bytes:
        """The next part; empty where there is none at the moment, or never more. Raises UnreadableLog."""
        while text := self._log.read():
            known = min(len(text), self._known)
            self._known -= known
            if known < len(text):
                return text[known:]
        if self._attempt_is_over:
            # Looked at once more since then, so all of it is read.
            self._go_on()
        elif time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LONGEST_PAUSE
            self._look()
        return b""

    @property
    def wants_on(self) -> bool:
        """Whether it is worth reading again at once."""
        return self._attempt_is_over and not self.is_over

    def close(self) -> None:
        self._log.close()

    def _look(self) -> None:
        with suppress(StoreUnavailable):  # the job goes on, and so does its log
            self._job = self._find()
        job = self._job
        waits = job.status is JobStatus.PENDING and job.attempt == self._number
        self._attempt_is_over = job.ended or job.attempt > self._number or (waits and self._only)

    def _go_on(self) -> None:
        if self._only or self._job.attempt <= self._number:
            self.is_over = True
            return
        self._number += 1
        self._log.close()
        self._log = self._log_of_attempt()
        self._attempt_is_over = False
        self._look_at = 0.0

    def _log_of_attempt(self) -> Following:
        at = self._locations
        return Following(at.state_dir, at.log_of(self._job.id, self._number))


class Stream(Response):
    """An answer that ends with the job. Where the server stops before, it is seen to be without its end."""

    media_type = "text/plain"

    def __init__(self, followers: Followers, output: Output, start: int | None, *, head: bool) -> None:
        super().__init__(status_code=200 if start is None else 206)
        del self.headers["content-length"]
        if start is not None:
            self.headers["content-range"] = f"bytes {start}-{ENDLESS}/*"
        self._followers = followers
        self._output = output
        self._head = head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._followers.joined() as end:
                gone = asyncio.create_task(_until_gone(receive, end))
                try:
                    await self._answer(send, end)
                finally:
                    gone.cancel()
        finally:
            self._output.close()

    async def _answer(self, send: Send, end: asyncio.Event) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self._head or await self._pass_on(send, end):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, send: Send, end: asyncio.Event) -> bool:
        """Whether all of it has been sent."""
        pause = SHORTEST_PAUSE
        while not end.is_set():
            text = b""
            try:
                text = await self._followers.threads.run(self._output.read)
            except UnreadableLog:
                return False
            except Problem as problem:
                if problem.status != 503:  # the job is gone
                    return False
            if text:
                # Waits while the client does not read: nothing piles up here.
                await send({"type": "http.response.body", "body": text, "more_body": True})
                pause = SHORTEST_PAUSE
            elif self._output.is_over:
                return True
            elif not self._output.wants_on:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await end.wait()
                pause = min(LONGEST_PAUSE, pause * 1.5)
        return False


def no_such_attempt(job: Job) -> Problem:
    return Problem(404, "There is no such attempt of this job.", [("attempt", f"there are {job.attempt}")])


def unreadable() -> Problem:
    return Problem(404, "The log of this attempt cannot be read.")


async def _until_gone(receive: Receive, end: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    end.set()
