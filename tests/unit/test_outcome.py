"""End record + report + our own kills -> outcome: a test for each row, and for what could be mistaken."""

import json
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import End, Outcome, decide


def EXIT(code: int) -> int:  # noqa: N802  (a row reads like a table)
    return code << 8


def SIGNAL(number: int) -> int:  # noqa: N802
    return number


KILLED = {
    "reason": "cancel",
    "signals": [{"signal": "SIGTERM", "afterSeconds": 0.0}],
    "seconds": 0.1,
    "killed": 0,
}


def outcome(status: int = 0, report: dict[str, Any] | None = None, **other: Any) -> Outcome:
    reason = other.pop("ended_by", None)
    frame = {
        "assigned": True,
        "status": status,
        "report": report,
        "broken": False,
        "leftovers": 0,
        "termination": KILLED | {"reason": reason} if reason else None,
        "user_seconds": 0.5,
        "system_seconds": 0.25,
        "max_rss_bytes": 4096,
        "isolation": "cgroup",
    }
    return decide(End.from_frame(json.loads(json.dumps(frame | other))))


KILL: dict[str, Any] = {
    "termination": KILLED | {"signals": [{"signal": "SIGTERM"}, {"signal": "SIGKILL"}], "killed": 1}
}
"""A cancel that the handler had not heard of when it was over; its process lingered."""

RETURNED = {"kind": "returned", "result": "[1]", "interrupted": False}
RAISED = {"kind": "raised", "message": "ValueError: x", "traceback": "t", "interrupted": False}
INTERRUPTED = RAISED | {"interrupted": True}
EXECUTING = {"kind": "executing"}
LEFT = {"kind": "left", "code": 256, "message": None}

ROWS: dict[str, tuple[Outcome, JobStatus | FailureKind]] = {
    "returned": (outcome(0, RETURNED), JobStatus.COMPLETED),
    "returned, then another code": (outcome(EXIT(7), RETURNED), FailureKind.EXITED),
    "returned, then a signal": (outcome(SIGNAL(11), RETURNED), FailureKind.SIGNALLED),
    "returned, lingered": (outcome(SIGNAL(9), RETURNED, ended_by="lingered"), JobStatus.COMPLETED),
    "returned, lingered, left with a code": (
        outcome(EXIT(3), RETURNED, ended_by="lingered"),
        FailureKind.EXITED,
    ),
    "returned, broken": (outcome(0, RETURNED, broken=True), FailureKind.EXITED),
    "returned before the cancel": (outcome(0, RETURNED, ended_by="cancel"), JobStatus.COMPLETED),
    "returned in spite of the cancel": (
        outcome(0, RETURNED | {"interrupted": True}, ended_by="cancel"),
        JobStatus.CANCELLED,
    ),
    "returned before the timeout": (outcome(0, RETURNED, ended_by="timeout"), JobStatus.COMPLETED),
    "nothing, 0": (outcome(0), FailureKind.EXITED),
    "nothing, 7": (outcome(EXIT(7)), FailureKind.EXITED),
    "nothing, SIGKILL": (outcome(SIGNAL(9)), FailureKind.SIGNALLED),
    "nothing, core dumped": (outcome(SIGNAL(11 | 0x80)), FailureKind.SIGNALLED),
    "nothing, cancelled": (outcome(SIGNAL(9), ended_by="cancel"), JobStatus.CANCELLED),
    "nothing, overdue": (outcome(SIGNAL(15), ended_by="timeout"), FailureKind.TIMED_OUT),
    "nothing, shut down": (outcome(SIGNAL(9), ended_by="shutdown"), FailureKind.OWNER_DIED),
    "raised": (outcome(EXIT(1), RAISED), FailureKind.RAISED),
    "raised, broken": (outcome(EXIT(1), RAISED, broken=True), FailureKind.RAISED),
    "raised before the cancel": (outcome(EXIT(1), RAISED, ended_by="cancel"), FailureKind.RAISED),
    "raised by the cancel": (outcome(EXIT(1), INTERRUPTED, ended_by="cancel"), JobStatus.CANCELLED),
    "raised by the timeout": (outcome(EXIT(1), INTERRUPTED, ended_by="timeout"), FailureKind.TIMED_OUT),
    "raised by a SIGTERM of somebody's": (outcome(EXIT(1), INTERRUPTED), FailureKind.RAISED),
    "raised, lingered": (outcome(SIGNAL(9), RAISED, ended_by="lingered"), FailureKind.RAISED),
    "bad result": (outcome(EXIT(1), {"kind": "bad_result", "message": "m"}), FailureKind.BAD_RESULT),
    "not started": (outcome(EXIT(1), {"kind": "not_started", "message": "m"}), FailureKind.NOT_STARTED),
    "left": (outcome(0, LEFT), FailureKind.EXITED),
    "SIGKILL, and somebody was killed for memory": (
        outcome(SIGNAL(9), oom_kills=1),
        FailureKind.OUT_OF_MEMORY,
    ),
    "a command, likewise": (outcome(SIGNAL(9), EXECUTING, oom_kills=2), FailureKind.OUT_OF_MEMORY),
    "another signal, likewise": (outcome(SIGNAL(11), oom_kills=1), FailureKind.SIGNALLED),
    "raised, likewise": (outcome(EXIT(1), RAISED, oom_kills=1), FailureKind.RAISED),
    "cancelled, likewise": (outcome(SIGNAL(9), ended_by="cancel", oom_kills=1), JobStatus.CANCELLED),
    "lingered, likewise": (
        outcome(SIGNAL(9), RETURNED, ended_by="lingered", oom_kills=1),
        JobStatus.COMPLETED,
    ),
    "SIGKILL, and none of its own was killed for memory": (
        outcome(SIGNAL(9), oom_kills=1, oom_kills_of_it=0),
        FailureKind.SIGNALLED,
    ),
    "SIGKILL at its limit": (outcome(SIGNAL(9), oom_kills_of_it=1), FailureKind.OUT_OF_MEMORY),
    "raised after it lost a process at its limit": (
        outcome(EXIT(1), RAISED, oom_kills_of_it=1),
        FailureKind.OUT_OF_MEMORY,
    ),
    "returned all the same": (outcome(0, RETURNED, oom_kills_of_it=1), JobStatus.COMPLETED),
    "a command, 137 at its limit": (
        outcome(EXIT(137), EXECUTING, oom_kills_of_it=1),
        FailureKind.OUT_OF_MEMORY,
    ),
    "MemoryError at the limit of its process": (
        outcome(EXIT(1), RAISED | {"message": "MemoryError"}, memory_by_process=True),
        FailureKind.OUT_OF_MEMORY,
    ),
    "MemoryError without a limit": (
        outcome(EXIT(1), RAISED | {"message": "MemoryError"}),
        FailureKind.RAISED,
    ),
    "over its processor time": (outcome(SIGNAL(15), ended_by="cpu_time"), FailureKind.TIMED_OUT),
    "returned, and killed after the cancel": (outcome(SIGNAL(9), RETURNED, **KILL), JobStatus.COMPLETED),
    "raised, and killed after the cancel": (outcome(SIGNAL(9), RAISED, **KILL), FailureKind.RAISED),
    "returned, and killed by another before": (
        outcome(SIGNAL(9), RETURNED, ended_by="cancel"),
        FailureKind.SIGNALLED,
    ),
    "left, cancelled": (outcome(0, LEFT | {"interrupted": True}, ended_by="cancel"), JobStatus.CANCELLED),
    "command, 0": (outcome(0, EXECUTING), JobStatus.COMPLETED),
    "command, 3": (outcome(EXIT(3), EXECUTING), FailureKind.EXITED),
    "command, SIGSEGV": (outcome(SIGNAL(11), EXECUTING), FailureKind.SIGNALLED),
    "command, cancelled": (outcome(SIGNAL(15), EXECUTING, ended_by="cancel"), JobStatus.CANCELLED),
    "command, overdue": (outcome(0, EXECUTING, ended_by="timeout"), FailureKind.TIMED_OUT),
    "forged": (outcome(0, {"kind": "nonsense"}), FailureKind.EXITED),
    "result NaN": (outcome(0, RETURNED | {"result": "NaN"}), FailureKind.BAD_RESULT),
    "result no text": (outcome(0, RETURNED | {"result": None}), FailureKind.BAD_RESULT),
    "result half a pair": (outcome(0, RETURNED | {"result": '"\ud800"'}), FailureKind.BAD_RESULT),
    "result too deep": (outcome(0, RETURNED | {"result": "[" * 10**5}), FailureKind.BAD_RESULT),
    "result too large": (outcome(0, RETURNED | {"result": '"' + "é" * 2**19 + '"'}), FailureKind.BAD_RESULT),
}


@pytest.mark.parametrize("found, wanted", ROWS.values(), ids=ROWS)
def test_row(found: Outcome, wanted: JobStatus | FailureKind) -> None:
    assert wanted == (found.failure_kind or found.status)
    assert (found.status is JobStatus.FAILED) == (found.failure_kind is not None) == bool(found.error_message)
    assert (found.result is not None) <= (found.status is JobStatus.COMPLETED)


def test_the_code_that_was_asked_for_is_kept() -> None:
    assert outcome(0, LEFT).exit_code == 256
    assert outcome(EXIT(247), {"kind": "left", "code": -9}).exit_code == -9
    assert outcome(EXIT(5), {"kind": "left", "code": 10**30}).exit_code == 5


def test_a_signal_is_named() -> None:
    assert "SIGSEGV (11)" in (outcome(SIGNAL(11)).error_message or "")
    assert "signal 40 " in (outcome(SIGNAL(40)).error_message or "")
    assert outcome(SIGNAL(signal.SIGABRT)).signal == 6


def test_a_supervisor_that_stopped_is_named() -> None:
    frame = {
        "status": 9,
        "assigned": True,
        "report": None,
        "broken": False,
        "leftovers": 0,
        "termination": KILLED | {"reason": "shutdown"},
    }
    used = {"user_seconds": 0, "system_seconds": 0, "max_rss_bytes": 0}
    end = End.from_frame(frame | used | {"isolation": "tree"})
    assert (decide(end, supervisor="supervisor X").error_message or "").startswith("supervisor X")


def test_leftovers_are_on_record() -> None:
    assert (outcome(0, RETURNED, leftovers=2).termination or {})["killed"] == 2
    assert outcome(0, RETURNED).termination is None


def test_usage_is_passed_on() -> None:
    usage = outcome(0, RETURNED).usage
    assert usage
    assert (usage.user_seconds, usage.system_seconds, usage.max_rss_bytes) == (0.5, 0.25, 4096)


ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
REPORTS = st.fixed_dictionaries(
    {"kind": st.sampled_from("returned raised left not_started bad_result executing progress x".split())},
    optional=dict.fromkeys(("message", "traceback", "result", "code", "interrupted"), ANYTHING),
)


@given(
    st.integers(0, 255).map(EXIT) | st.integers(1, 64),
    st.none() | REPORTS,
    st.sampled_from([None, "cancel", "timeout", "shutdown", "lingered"]),
    st.booleans(),
)
def test_whatever_a_job_says_there_is_one_storable_outcome(
    status: int,
    report: dict[str, Any] | None,
    reason: str | None,
    broken: bool,  # noqa: FBT001
) -> None:
    found = outcome(status, report, ended_by=reason, broken=broken)
    assert (found.status is JobStatus.FAILED) == (found.failure_kind is not None)
    assert found.status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
    assert (found.status is JobStatus.CANCELLED) <= (reason == "cancel")
    assert (found.status is JobStatus.COMPLETED) <= (status == 0 or reason == "lingered")
    assert (found.exit_code is None) or abs(found.exit_code) < 2**63
    for text in (found.error_message, found.traceback, found.result):
        (text or "").encode()
