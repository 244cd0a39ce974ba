"""What the http server says in its log; of a state that many requests meet, only the change."""

import threading
from collections.abc import Mapping
from typing import Any

from supervisor.journal import Event, Journal


class Teller:
    """Says events of the http server."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unavailable = False
        self._lock = threading.Lock()

    def say(self, event: Event, **facts: Any) -> None:
        self._journal.say(event, **facts)

    def failed(self, method: str, route: str, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # a task group of the framework's around it
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        described = f"{type(error).__name__}: {error}{place}"
        self.say(Event.HTTP_FAILED, method=method, route=route, error=described)

    def failed_outside(self, _: object, context: Mapping[str, Any]) -> None:
        """For asyncio: what went wrong in no request."""
        error = context.get("exception") or RuntimeError(context["message"])
        self.failed("a connection", "", error)

    def unavailable(self, why: BaseException) -> None:
        with self._lock:
            if not self._unavailable:
                self._unavailable = True
                self.say(Event.HTTP_DATABASE_UNAVAILABLE, why=why)

    def available(self) -> None:
        with self._lock:
            if self._unavailable:
                self._unavailable = False
                self.say(Event.HTTP_DATABASE_BACK)
