"""HTTP/1.1 by uvicorn and h11, with an end to everything that a client can draw out.

uvicorn bounds only the pause between two requests. Here a watch, once a second, closes what has been sending
its head or its body for too long, or has stopped reading; and the number of connections is bounded, so that
the one that has been idle longest makes room for the next.
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from supervisor.api.gate import SECURITY_HEADERS
from supervisor.api.problems import MEDIA_TYPE, Problem, body_of

HEAD_SECONDS = 8.0
"""For the line and the headers of a request, from the connection or the request before on."""
BODY_SECONDS = 12.0
"""For a body that nobody waits for; whoever wants one waits less, and says so."""
STALL_SECONDS = 10.0
"""For a client that does not read what it asked for."""
CLOSING_SECONDS = 5.0
CONNECTIONS = {socket.AF_UNIX: 128}
OTHER_CONNECTIONS = 256
LONGEST_HEAD = 32 * 1024
"""Bytes of a request's line and headers, the empty line after them included."""
_NO_LINGER = struct.pack("ii", 1, 0)


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, came: Callable[[], None], **more: Any) -> None:
        """`came` is called where it is the only one."""
        super().__init__(**more)
        self._came = came

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._received = bytearray()
        self._phase: tuple[object, object] | None = None
        self._since = self._stalled_since = time.monotonic()
        self._closing_since: float | None = None
        self.family = transport.get_extra_info("socket").family
        if len(self.connections) == 1:
            self._came()
        others = (each for each in cast("set[BoundedProtocol]", self.connections) if each is not self)
        alike = [each for each in others if each.family == self.family and not each.transport.is_closing()]
        if len(alike) >= CONNECTIONS.get(self.family, OTHER_CONNECTIONS):
            idle = min((each for each in alike if each.is_idle), key=lambda each: each.since, default=None)
            (idle or self).cut()

    def data_received(self, data: bytes) -> None:
        """On to h11 in parts: it measures a head only while that is incomplete, and a read brings 256 KiB."""
        self._received += data
        self._pass_on()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._pass_on()

    def _pass_on(self) -> None:
        while self._received and not self.transport.is_closing():
            waiting = len(self.conn.trailing_data[0])
            if waiting and self.conn.their_state is h11.DONE:
                return  # the next request; uvicorn has stopped reading until it is its turn
            room = LONGEST_HEAD - waiting if self.is_idle else LONGEST_HEAD
            if room <= 0:
                detail = f"The line and the headers of a request may have {LONGEST_HEAD // 1024} KiB."
                self._refuse(Problem(431, detail))
                return
            part = bytes(self._received[:room])
            del self._received[:room]
            super().data_received(part)

    @property
    def since(self) -> float:
        """When the head of a request, its body or its answer began."""
        return self._since

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered: at most a part of a head is here."""
        return self.conn.their_state is h11.IDLE

    def watch(self, now: float) -> None:
        """Called once a second."""
        phase = (self.cycle, self.conn.their_state)
        if phase != self._phase:
            # What is seen first began when the connection was made.
            self._since = self._since if self._phase is None else now
            self._phase = phase
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > CLOSING_SECONDS:
                self.cut()
        elif self.flow.write_paused and now - self._stalled_since > STALL_SECONDS:
            self.cut()
        elif self.is_idle and now - self._since > HEAD_SECONDS:
            self._refuse(Problem(408, "The request did not come in time."))
        elif self.conn.their_state is h11.SEND_BODY and now - self._since > BODY_SECONDS:
            self.cut()

    def cut(self) -> None:
        """At once, with what the kernel holds of answers that nobody has read."""
        if self.family != socket.AF_UNIX:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER
            )
        self.transport.abort()

    def pause_writing(self) -> None:
        self._stalled_since = time.monotonic()
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:
        """Bytes that are no HTTP."""
        self._refuse(Problem(400, "This is not a valid HTTP/1.1 request."))

    def _unsupported_upgrade_warning(self) -> None:
        """There are no WebSockets here; who asks for one gets a plain answer, and the log stays quiet."""

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, and close; where an answer is under way, just close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and self._has_sent_something():
            body = body_of(problem)
            headers = [
                *SECURITY_HEADERS,
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(
                    status_code=problem.status, headers=headers, reason=STATUS_PHRASES[problem.status]
                ),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _has_sent_something(self) -> bool:
        return bool(self.conn.trailing_data[0]) or self.conn.their_state is h11.ERROR
