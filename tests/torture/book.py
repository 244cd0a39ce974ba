"""What clients were told, written down as it comes; and which job came of which step."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.errors import (
    InvalidConfiguration,
    InvalidKey,
    JobNotEnded,
    NoSupervisor,
    StoreLocked,
    StoreUnavailable,
    UnknownJobType,
)
from supervisor.waiting import WaitTimedOut
from supervisor.ways.way import WayLost
from tests.torture.history import Told

REFUSED = (
    InvalidConfiguration,
    InvalidKey,
    JobNotEnded,
    NoSupervisor,
    StoreLocked,
    UnknownJobType,
    WaitTimedOut,
)
"""Nothing was done."""
UNKNOWN = (StoreUnavailable, WayLost)
"""Perhaps it was."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: see Told."""

    answer: str
    job: str | None = None
    status: str | None = None
    attempt: int | None = None
    said: str | None = None


class Book:
    """Written by all lanes at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.told: list[Told] = []
        self.jobs: dict[int, str] = {}
        """By the number of the step that submitted it."""
        self.deeds: dict[str, str] = {}
        """By token."""
        self.done: Counter[str] = Counter()
        """What was done, how often."""
        self.complaints: list[str] = []
        """What no client may ever hear."""

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def complain(self, sentence: str) -> None:
        with self._lock:
            self.complaints.append(sentence)

    def hear(
        self, verb: str, ask: Callable[[], Answer], *, token: str | None = None, of: str | None = None
    ) -> Answer:
        """Ask, and write down what came of it."""
        began = time.monotonic()
        answer = self._answer_to(verb, ask)
        ended = time.monotonic()
        told = Told(
            verb,
            answer.answer,
            began,
            ended,
            token,
            answer.job or of,
            answer.status,
            answer.attempt,
            answer.said,
        )
        with self._lock:
            self.told.append(told)
            self.done[f"{verb}: {answer.answer}"] += 1
        return answer

    def _answer_to(self, verb: str, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except REFUSED:
            return Answer("refused")
        except UNKNOWN:
            return Answer("unknown")
        except Exception as error:  # noqa: BLE001  (that is the finding: no client may hear anything else)
            self.complain(f"{verb} raised {error!r}")
            return Answer("unknown")
