"""Every log event of the http server: its name, its level, its wording. One line each, to standard error."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

from supervisor.journal import Event, Journal


class Note(Enum):
    """(level, wording), like the events of the supervisor's own journal."""

    HTTP_LISTENING = ("info", "http answers on {places}")
    HTTP_STOPPED = ("info", "http stopped")
    HTTP_FAILED = ("error", "{method} {route} failed: {error}")
    HTTP_DATABASE_UNAVAILABLE = ("error", "http answers 503: {why}")
    HTTP_DATABASE_BACK = ("info", "http: the database answers again")
    HTTP_JOB_TYPES_UNREADABLE = ("warning", "http goes on with the job types it had: {why}")
    HTTP_TOKEN_EXPOSED = ("warning", "others on this machine may read the token file {path}; chmod it to 600")


class Teller:
    """Says notes; of a state that many requests meet, only the change."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unavailable = False

    def say(self, note: Note, **facts: Any) -> None:
        # Journal asks an event for its name and its value, and a note has both.
        self._journal.say(cast(Event, note), **facts)

    def failed(self, method: str, route: str, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # a task group of the framework's around it
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        described = f"{type(error).__name__}: {error}{place}"
        self.say(Note.HTTP_FAILED, method=method, route=route, error=described)

    def failed_outside(self, _: object, context: Mapping[str, Any]) -> None:
        """For asyncio: what went wrong in no request."""
        error = context.get("exception") or RuntimeError(context["message"])
        self.failed("a connection", "", error)

    def unavailable(self, why: BaseException) -> None:
        if not self._unavailable:
            self._unavailable = True
            self.say(Note.HTTP_DATABASE_UNAVAILABLE, why=why)

    def available(self) -> None:
        if self._unavailable:
            self._unavailable = False
            self.say(Note.HTTP_DATABASE_BACK)
