"""How an attempt ended: the end record, the report and what we did to it become one Outcome.

Pure: a table of cases in order of precedence, a test for each row.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, Self

from supervisor.lifecycle import FailureKind, Isolation, JobStatus

_LARGEST_RESULT = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used, as the kernel counted it when each of its processes was reaped (getrusage(2)).

    Of what was killed or outlived its child as well; not of those whose parent ignores SIGCHLD.
    """

    user_seconds: float
    system_seconds: float
    max_rss_bytes: int
    """Resident memory of the largest single process of its tree, at its peak; not their sum."""
    peak_bytes: int | None = None
    """Of all of them together, at most, where the kernel counts that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is recorded of an ended attempt."""

    status: JobStatus
    failure_kind: FailureKind | None = None
    exit_code: int | None = None
    signal: int | None = None
    error_message: str | None = None
    traceback: str | None = None
    result: str | None = None
    """JSON text."""
    termination: dict[str, Any] | None = field(default=None)
    """What was done to end it: {"reason", "signals": [{"signal", "afterSeconds"}], "seconds", "killed"}."""
    usage: Usage | None = None
    wish: Literal["retry", "discard"] | None = None
    """What the handler asked for with the exception that it raised."""
    after: float | None = None
    """Seconds that it wants to pass before another attempt."""
    isolation: Isolation | None = None
    """By what its processes were held together."""
    stopped: bool = False
    """Whether it failed because its supervisor was stopped, in good order."""


@dataclass(frozen=True, slots=True)
class End:
    """The keeper's end record of a child: nothing of the job is running any more."""

    assigned: bool
    """False where it ended at its gate: no job ever reached it."""
    exit_code: int | None
    signal: int | None
    report: dict[str, Any]
    """The child's last word; empty where it said none. Written by a process that ran the job's code."""
    broken: bool
    """What came through the report pipe was not, or not wholly, a report."""
    leftovers: int
    termination: dict[str, Any] | None
    usage: Usage
    isolation: Isolation
    """By what its processes were held together."""
    oom_kills_of_it: int | None = None
    """Processes of its own that the out-of-memory killer has ended; None where nobody counts them."""
    memory_by_process: bool = False
    """Whether each of its processes was held to its memory limit, and not all of them together."""
    timeout: float | None = None
    """Seconds that it might run."""
    oom_kills: int = 0
    """Processes that the kernel's out-of-memory killer has ended while it ran, anywhere on the host."""

    @classmethod
    def from_frame(cls, frame: dict[str, Any], *, timeout: float | None = None) -> Self:
        code = os.waitstatus_to_exitcode(frame["status"])
        return cls(
            assigned=frame["assigned"],
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            report=frame["report"] or {},
            broken=frame["broken"],
            leftovers=frame["leftovers"],
            termination=frame["termination"],
            usage=Usage(
                frame["user_seconds"],
                frame["system_seconds"],
                frame["max_rss_bytes"],
                frame.get("peak_bytes"),
            ),
            isolation=Isolation(frame["isolation"]),
            timeout=timeout,
            oom_kills_of_it=frame.get("oom_kills_of_it"),
            memory_by_process=frame.get("memory_by_process", False),
            oom_kills=frame.get("oom_kills", 0),
        )

    @property
    def said(self) -> str | None:
        return self.report.get("kind")

    @property
    def ended_by_us(self) -> str | None:
        """Why we ended it: cancel, timeout, shutdown. None where its own end came first.

        A last word without an interruption means that the handler was over before our signal came.
        """
        reason = self.termination["reason"] if self.termination else None
        if reason == "lingered" or (
            self.said not in (None, "executing") and not self.report.get("interrupted")
        ):
            return None
        return reason

    @property
    def killed_by_us(self) -> bool:
        """Whether the signal that ended it can be ours."""
        sent = self.termination["signals"] if self.termination else []
        return self.signal == signal.SIGKILL and any(each["signal"] == "SIGKILL" for each in sent)

    @property
    def did_well(self) -> bool:
        """Whether it did what it was to do, as far as its process goes."""
        if self.said == "executing":
            return self.exit_code == 0
        return self.said == "returned" and not self.broken and self.left_well

    @property
    def had_no_memory(self) -> bool:
        return str(self.report.get("message")).startswith("MemoryError")

    @property
    def left_well(self) -> bool:
        """Exit code 0, or killed by us because its process would not end after its work had."""
        lingered = self.termination is not None and self.termination["reason"] == "lingered"
        return (
            self.exit_code == 0
            or (lingered and self.signal is not None)
            or (self.killed_by_us and self.ended_by_us is None)
        )


def decide(end: End, *, supervisor: str = "its supervisor") -> Outcome:
    """The outcome of an attempt: the first case that fits, from the strongest evidence to the weakest.

    `supervisor` names the owner, for the message of a job that was ended because it stopped.
    """
    if end.ended_by_us == "shutdown":
        message = f"{supervisor} was stopped while it ran"
        return replace(_failed(end, FailureKind.OWNER_DIED, message), stopped=True)
    return next(outcome_of(end) for fits, outcome_of in _CASES if fits(end))


def with_facts(outcome: Outcome, end: End | None) -> Outcome:
    """An outcome that is certain without the end record, with the facts of that, where there is one."""
    if end is None:
        return outcome
    return replace(
        outcome,
        exit_code=end.exit_code,
        signal=end.signal,
        termination=_termination(end),
        usage=end.usage,
        isolation=end.isolation,
    )


def _returned(end: End) -> Outcome:
    """The result is checked again: the process that sent it had run the job's code."""
    text = end.report.get("result")
    try:
        size = len(text.encode()) if isinstance(text, str) else 0
        json.loads(text if isinstance(text, str) else "", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _failed(end, FailureKind.BAD_RESULT, "what it reported as its result is not JSON")
    if size > _LARGEST_RESULT:
        return _failed(end, FailureKind.BAD_RESULT, f"what it reported as its result is {size} bytes")
    return _outcome(end, JobStatus.COMPLETED, result=text)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _spoken(end: End) -> Outcome:
    """It said itself why it failed, in the words of our own report."""
    outcome = _failed(end, FailureKind(str(end.said)), _text(end.report.get("message")))
    return replace(outcome, wish=end.report.get("wish"), after=end.report.get("after"))


def _signalled(end: End) -> Outcome:
    name = _name_of(end.signal or 0)
    return _failed(end, FailureKind.SIGNALLED, f"{name} killed it; AsyncWorker did not send it")


def _over_its_memory(end: End) -> Outcome:
    said = _text(end.report.get("message"))
    what = (
        f"the kernel's out-of-memory killer ended {end.oom_kills_of_it} of its processes"
        if end.oom_kills_of_it
        else "a process of it was refused memory at its limit"
    )
    return _failed(end, FailureKind.OUT_OF_MEMORY, f"{what}; {said}" if said else what)


def _out_of_memory(end: End) -> Outcome:
    message = (
        "SIGKILL (9) killed it; AsyncWorker did not send it. The kernel's out-of-memory killer has ended a"
        " process of this host while it ran, most likely this one"
    )
    return _failed(end, FailureKind.OUT_OF_MEMORY, message)


def _left(end: End) -> Outcome:
    asked = end.report.get("code")
    code = asked if isinstance(asked, int) and abs(asked) < 2**63 else end.exit_code
    message = _text(end.report.get("message")) or f"it left with exit code {code} instead of returning"
    return _outcome(
        end, JobStatus.FAILED, failure_kind=FailureKind.EXITED, exit_code=code, error_message=message
    )


def _why_exited(end: End) -> str:
    if end.broken:
        return "what it sent through its report pipe could not be read, so whether it returned is not known"
    if end.said == "returned":
        return f"it returned, and then its process left with exit code {end.exit_code}"
    if end.said == "executing":
        return f"the program left with exit code {end.exit_code}"
    return f"its process left with exit code {end.exit_code} without having returned"


def _failed(end: End, kind: FailureKind, message: str | None) -> Outcome:
    return _outcome(end, JobStatus.FAILED, failure_kind=kind, error_message=message)


def _outcome(end: End, status: JobStatus, **more: Any) -> Outcome:
    facts: dict[str, Any] = {
        "exit_code": end.exit_code,
        "signal": end.signal,
        "traceback": _text(end.report.get("traceback")) if status is JobStatus.FAILED else None,
        "termination": _termination(end),
        "usage": end.usage,
        "isolation": end.isolation,
    }
    return Outcome(status, **(facts | more))


def nothing_done(killed: int = 0) -> dict[str, Any]:
    """The record of a job that ended by itself, for what it left."""
    return {"reason": "leftovers", "signals": [], "seconds": 0.0, "killed": killed}


def _termination(end: End) -> dict[str, Any] | None:
    """What we did; leftovers of a job that ended by itself count as well."""
    return nothing_done(end.leftovers) if end.termination is None and end.leftovers else end.termination


def _text(value: object) -> str | None:
    """Text from a report, made storable: a lone surrogate is not."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()


def _of(seconds: float | None) -> str:
    return "" if seconds is None else f" of {seconds:g} s"


def _name_of(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


_CASES: tuple[tuple[Callable[[End], bool], Callable[[End], Outcome]], ...] = (
    (lambda end: end.ended_by_us == "cancel", lambda end: _outcome(end, JobStatus.CANCELLED)),
    (
        lambda end: end.ended_by_us == "timeout",
        lambda end: _failed(end, FailureKind.TIMED_OUT, f"it ran longer than its timeout{_of(end.timeout)}"),
    ),
    (
        lambda end: end.ended_by_us == "cpu_time",
        lambda end: _failed(
            end, FailureKind.TIMED_OUT, "it used all the processor time that it may (cpu_time)"
        ),
    ),
    (lambda end: bool(end.oom_kills_of_it) and not end.did_well, _over_its_memory),
    (lambda end: end.memory_by_process and end.said == "raised" and end.had_no_memory, _over_its_memory),
    (
        lambda end: (
            end.oom_kills_of_it is None
            and (end.signal == signal.SIGKILL and not end.left_well and end.oom_kills > 0)
        ),
        _out_of_memory,
    ),
    (lambda end: end.signal is not None and not end.left_well, _signalled),
    (lambda end: end.said in ("not_started", "bad_result", "raised"), _spoken),
    (lambda end: end.said == "left", _left),
    (lambda end: end.said == "returned" and end.did_well, _returned),
    (
        lambda end: end.did_well,
        lambda end: _outcome(end, JobStatus.COMPLETED),
    ),
    (lambda _: True, lambda end: _failed(end, FailureKind.EXITED, _why_exited(end))),
)
"""What fits, and what follows; the order is the rule."""
