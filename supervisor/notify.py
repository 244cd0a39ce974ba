"""What systemd is told: ready, reloading, stopping, how it goes, and that the loop turns.

The protocol is a datagram of `NAME=value` lines to the socket that $NOTIFY_SOCKET names (sd_notify(3)). That
takes twenty lines of code, so no library does it. Without such a socket nobody is told.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import Self

from supervisor.journal import Event
from supervisor.lifecycle import JobStatus
from supervisor.store import tallies
from supervisor.supervision import Entry, Supervision

_COUNT_EVERY = 1.0
_EXTEND_EVERY = 5.0
_EXTENSION = 30.0
"""Seconds that each message asks for. What follows the last turn takes half of them."""


class Notify:
    """Called as the last duty of a turn, so that only a loop that turns is heard of."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        """`watchdog`: seconds of silence after which we are killed."""
        self._address = address
        self._feed_every = watchdog / 3 if watchdog and address else None
        self._feed_at = 0.0
        self._extend_at = 0.0
        self._count_at = 0.0
        self._counts: dict[JobStatus, int] = {}
        self._said: str | None = None
        """READY=1 or STOPPING=1, whichever came last; None before them and during a reload."""
        self._status = ""
        self._failed = False

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Takes the variables away: nobody whom we start may speak in our name."""
        address = environ.pop("NOTIFY_SOCKET", None)
        microseconds = environ.pop("WATCHDOG_USEC", "")
        if environ.pop("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
            return cls(address)
        return cls(address, int(microseconds) / 1e6)

    def due(self) -> float:
        """When something is to be said without an event: monotonic seconds."""
        if self._address is None:
            return float("inf")
        feed_at = float("inf") if self._feed_every is None else self._feed_at
        return feed_at if self._said == "READY=1" else min(feed_at, self._extend_at)

    def count(self, s: Supervision, entry: Entry) -> None:
        """Jobs by status, for the status line; looked at once a second at most."""
        now = s.clock.monotonic()
        if self._address is None or now < self._count_at:
            return
        self._count_at = now + _COUNT_EVERY
        counted = tallies.counts(entry.tx).values()
        self._counts = {status: sum(each.get(status, 0) for each in counted) for status in JobStatus}

    def reloading(self, s: Supervision) -> None:
        """READY=1 follows once what is reloaded is in force."""
        self._said, self._extend_at = None, 0.0
        self._send(s, ["RELOADING=1", f"MONOTONIC_USEC={int(s.clock.monotonic() * 1e6)}"])

    def step(self, s: Supervision) -> None:
        """Say what has changed; feed the watchdog; ask for time while we start, reload or stop."""
        if self._address is None:
            return
        now = s.clock.monotonic()
        state, status = _state(s), status_line(s, self._counts)
        feeds = self._feed_every is not None and now >= self._feed_at
        extends = state != "READY=1" and (now >= self._extend_at or state != self._said)
        lines = [state] if state and state != self._said else []
        lines += [f"STATUS={status}"] if status != self._status else []
        lines += ["WATCHDOG=1"] if feeds else []
        lines += [f"EXTEND_TIMEOUT_USEC={int(_EXTENSION * 1e6)}"] if extends else []
        if not lines or not self._send(s, lines):
            return
        self._said, self._status = state or self._said, status
        if feeds:
            self._feed_at = now + (self._feed_every or 0.0)
        if extends:
            self._extend_at = now + _EXTEND_EVERY

    def leaving(self, s: Supervision) -> None:
        """The loop turns no more; what is left takes some seconds."""
        self._send(s, ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(_EXTENSION * 1e6)}"])

    def _send(self, s: Supervision, lines: list[str]) -> bool:
        """One datagram. Where it cannot be sent now, it is tried again in a later turn."""
        if self._address is None:
            return False
        try:
            send(self._address, "\n".join(lines))
        except OSError as error:
            if not self._failed:
                s.journal.say(Event.NOTIFY_FAILED, why=error.strerror or str(error))
            self._failed = True
            return False
        self._failed = False
        return True


def send(address: str, message: str) -> None:
    """Raises OSError where nobody takes it. A leading @ stands for the NUL of an abstract name (unix(7))."""
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.sendto(message.encode(), name)


def status_line(s: Supervision, counts: dict[JobStatus, int]) -> str:
    """One line for `systemctl status`."""
    running = len(s.children.with_jobs())
    if s.draining:
        return f"Stopping: {running} running jobs left"
    if s.uncertain and s.ready:
        return f"The database does not answer; {running} jobs run on"
    if not s.ready:
        return "Starting: " + ("the keeper gets ready" if not s.keeping.ready else "recovering what was left")
    if s.coming is not None:
        return "Reloading: a new keeper imports the handlers"
    if s.front is not None and not s.front.ready:
        return "Waiting for the http server"
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _state(s: Supervision) -> str | None:
    """What is true: READY only while jobs are claimed, HTTP answers and no reload is under way."""
    if s.draining:
        return "STOPPING=1"
    answers = s.front is None or s.front.ready
    return "READY=1" if s.ready and answers and s.coming is None else None
