"""What a run leaves behind: the database, the jobs' own notes, what clients were told. Plain records."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Row = dict[str, Any]

OF_OTHERS = frozenset({"daemon", "left"})
"""Events about, or of, a process that an attempt has started, and not of the attempt's own."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How often a job type has its jobs tried again."""

    attempts: int = 1
    crashes: int = 3
    survives_owner: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What a job type promises. None: not judged."""

    limit: int | None = None
    """How many may run at a time."""
    again: bool = False
    """Whether a job may be executed more than once by itself."""
    budget: Budget | None = None
    returns: bool = False
    """Whether a job gives back its token and the number of its attempt."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one client asked for, and what it was told. Times are seconds of the monotonic clock."""

    verb: str
    """submit, cancel, retry or wait."""
    answer: str
    """done; refused: nothing was done; unknown: no answer came, and it may have been done."""
    began: float
    ended: float
    token: str | None = None
    """Of a submit: what is in its payload, the same only where the idempotency key is."""
    job: str | None = None
    status: str | None = None
    """Of the job, as the answer says; with the number of its attempt then."""
    attempt: int | None = None
    said: str | None = None
    """Of a cancel: what it came to."""

    @property
    def may_be_done(self) -> bool:
        return self.answer != "refused"


@dataclass(frozen=True, slots=True)
class Life:
    """The end of one supervisor's process."""

    uuid: str
    code: int | None
    """None: it has not ended."""
    was_ready: bool
    asked: bool
    """Whether it was killed, or told to stop."""
    last_words: str = ""
    """A traceback, where its log has one."""


@dataclass(frozen=True)
class History:
    """Everything that is judged."""

    jobs: Mapping[str, Row]
    attempts: Mapping[str, list[Row]]
    """By job, oldest first."""
    supervisors: Mapping[str, Row] = field(default_factory=dict)
    notes: list[Row] = field(default_factory=list)
    """What the jobs wrote down themselves, in the order in which it came to the file."""
    changes: list[Row] = field(default_factory=list)
    """Every change of every job, in the order of the commits."""
    rules: Mapping[str, Rules] = field(default_factory=dict)
    acknowledged: tuple[str, ...] = ()
    told: list[Told] = field(default_factory=list)
    """Where there is anything, everything that any client asked for."""
    by_hand: frozenset[str] = frozenset()
    """Jobs that somebody has had tried again after their end."""
    may_end: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By token: Completed and failure kinds to which this job's own doing can have led."""
    lives: list[Life] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)
    """What is left, seen from outside, after all has ended."""
    together: Mapping[str, int] = field(default_factory=dict)
    """By type: the most jobs that were seen from outside to have a process at the same time."""

    @cached_property
    def notes_of(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for note in self.notes:
            found[note["job"]].append(note)
        return found

    @cached_property
    def told_of(self) -> Mapping[str, list[Told]]:
        found: dict[str, list[Told]] = defaultdict(list)
        for told in self.told:
            if told.job is not None:
                found[told.job].append(told)
        return found

    @cached_property
    def job_of(self) -> Mapping[int, Row]:
        """By sequence number."""
        return {job["seq"]: job for job in self.jobs.values()}

    @cached_property
    def changes_of(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for change in self.changes:
            if change["job_seq"] in self.job_of:
                found[self.job_of[change["job_seq"]]["id"]].append(change)
        return found

    def rules_of(self, job: Row) -> Rules:
        return self.rules.get(job["type"], Rules())

    def was_retried(self, job: str) -> bool:
        """Whether somebody has had it tried again, or may have."""
        return job in self.by_hand or bool(self.retries(job))

    def retries(self, job: str) -> list[Told]:
        return [told for told in self.told_of.get(job, []) if told.verb == "retry" and told.may_be_done]

    def began_again(self, job: str) -> bool:
        """Whether it may be executed more than once."""
        return self.rules_of(self.jobs[job]).again or self.was_retried(job)

    def executions(self, job: str) -> list[Row]:
        """Every time that its handler began."""
        return [note for note in self.notes_of.get(job, []) if note["event"] == "start"]

    def wrote(self, job: str, event: str) -> bool:
        return any(note["event"] == event for note in self.notes_of.get(job, []))


def token_of(job: Row) -> str | None:
    """What the submit put into the payload."""
    payload = json.loads(job["payload"])
    token = payload.get("token") if isinstance(payload, dict) else None
    return token if isinstance(token, str) else None
