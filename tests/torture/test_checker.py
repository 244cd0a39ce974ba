"""The checker finds every kind of violation, each in a history with one mistake, and none in a right one."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.torture.checker import unended, violations
from tests.torture.history import Budget, History, Life, Row, Rules, Told

JOB, OWNER = "job-1", "owner-1"
TOKEN = "token-1"
RULES = {"Plain": Rules(1, budget=Budget(), returns=True)}


def job(number: int = 1, **different: Any) -> Row:
    return {
        "seq": number,
        "id": f"job-{number}",
        "type": "Plain",
        "payload": json.dumps({"token": f"token-{number}"}),
        "status": "Completed",
        "attempt": 1,
        "max_attempts": 1,
        "crashes": 0,
        "owner": OWNER,
        "pid": 100 + number,
        "result": f'"token-{number}.1"',
        "cancel_requested_at": None,
        "failure_kind": None,
        "exit_code": 0,
        "signal": None,
        "error_message": None,
        **different,
    }


def attempt(of: int = 1, /, **different: Any) -> Row:
    return {
        "number": 1,
        "owner": OWNER,
        "pid": 100 + of,
        "start_ticks": 1,
        "started_at": 1000 * of,
        "ended_at": 1000 * of + 500,
        "status": "Completed",
        "failure_kind": None,
        "exit_code": 0,
        "signal": None,
        "error_message": None,
        **different,
    }


def note(number: int, event: str, at: int, **different: Any) -> Row:
    """At so many milliseconds after the beginning of its attempt."""
    wall = 1000 * number + at
    facts = {"job": f"job-{number}", "attempt": 1, "event": event, "pid": 100 + number, "ticks": 1}
    return {**facts, "at": wall / 1000, "wall": wall, **different}


def change(seq: int, status: str, attempt: int) -> Row:
    return {"job_seq": seq, "status": status, "attempt": attempt}


def told(verb: str, number: int, at: int, **different: Any) -> Told:
    moment = (1000 * number + at) / 1000
    asked = Told(verb, "done", moment - 0.001, moment, job=f"job-{number}")
    return replace(asked, token=f"token-{number}" if verb == "submit" else None, **different)


def right() -> History:
    """Two jobs, one after the other: one returned, and one was cancelled."""
    return History(
        jobs={
            "job-1": job(1),
            "job-2": job(
                2, status="Cancelled", result=None, cancel_requested_at=2300, exit_code=None, signal=15
            ),
        },
        attempts={
            "job-1": [attempt(1)],
            "job-2": [attempt(2, status="Cancelled", exit_code=None, signal=15)],
        },
        supervisors={OWNER: {"uuid": OWNER, "state": "stopped"}},
        notes=[
            note(1, "start", 100),
            note(1, "alive", 200),
            note(1, "left", 300, pid=7),
            note(1, "end", 400),
            note(2, "start", 100),
            note(2, "cleaning", 400),
        ],
        changes=[
            change(1, "Pending", 0),
            change(2, "Pending", 0),
            change(1, "InProgress", 1),
            change(1, "InProgress", 1),
            change(1, "Completed", 1),
            change(2, "InProgress", 1),
            change(2, "Cancelled", 1),
        ],
        rules=RULES,
        told=[
            told("submit", 1, -500, status="Pending", attempt=0),
            told("submit", 2, -500, status="Pending", attempt=0),
            told("cancel", 2, 300, status="InProgress", attempt=1, said="requested"),
            told("wait", 2, 600, status="Cancelled", attempt=1),
        ],
        may_end={"token-1": frozenset({"Completed"}), "token-2": frozenset({"Completed"})},
        lives=[Life(OWNER, 0, was_ready=True, asked=True)],
        together={"Plain": 1},
    )


def retried() -> History:
    """One job that had three attempts: its owner died, it was given back, and it raised twice."""
    failed = {"status": "Failed", "exit_code": 1, "error_message": "no luck"}
    kinds = ("raised", "owner_died", None, "raised")
    attempts = [
        attempt(
            number,
            **{**failed, "number": number, "failure_kind": kind, "status": "Failed" if kind else "Pending"},
        )
        for number, kind in enumerate(kinds, 1)
    ]
    changes = [change(1, "Pending", 0)]
    for number in range(1, 5):
        changes += [change(1, "InProgress", number), change(1, "Pending", number)]
    changes[-1] = change(1, "Failed", 4)
    return History(
        jobs={
            "job-1": job(
                1, **failed, failure_kind="raised", attempt=4, max_attempts=4, result=None, crashes=1, pid=104
            )
        },
        attempts={"job-1": attempts},
        supervisors={OWNER: {"uuid": OWNER, "state": "stopped"}},
        notes=[note(number, "start", 100, job="job-1", attempt=number) for number in (1, 2, 4)],
        changes=changes,
        rules={"Plain": Rules(1, again=True, budget=Budget(2, 3, survives_owner=True), returns=True)},
        told=[told("submit", 1, -500, status="Pending", attempt=0)],
        may_end={"token-1": frozenset({"raised"})},
        lives=[Life(OWNER, -9, was_ready=True, asked=True)],
    )


def by_hand() -> History:
    """A job that was tried again because somebody asked for it."""
    h = right()
    h.attempts["job-1"].append(attempt(3, number=2))
    h.jobs["job-1"].update(attempt=2, max_attempts=2, result='"token-1.2"', pid=103)
    notes = [note(3, event, at, job="job-1", attempt=2) for event, at in (("start", 100), ("end", 200))]
    changes = [change(1, "Pending", 1), change(1, "InProgress", 2), change(1, "Completed", 2)]
    retry = replace(told("retry", 3, -100, status="Pending", attempt=1), job="job-1")
    return replace(h, notes=h.notes + notes, changes=h.changes + changes, told=[*h.told, retry])


@pytest.mark.parametrize("history", [right, retried, by_hand])
def test_a_right_history_has_no_violation(history: Callable[[], History]) -> None:
    assert violations(history()) == []
    assert unended(history()) == []


def test_less_is_known_without_clients_and_that_is_no_violation() -> None:
    assert violations(replace(right(), told=[], may_end={}, rules={}, changes=[], lives=[])) == []


Break = Callable[[History], object]


def edit(**different: Any) -> Break:
    return lambda h: replace(
        h, **{name: value(h) if callable(value) else value for name, value in different.items()}
    )


def in_job(number: int = 1, **different: Any) -> Break:
    return lambda h: h.jobs[f"job-{number}"].update(different)


def in_attempt(number: int = 1, which: int = 0, **different: Any) -> Break:
    return lambda h: h.attempts[f"job-{number}"][which].update(different)


def in_note(which: int, **different: Any) -> Break:
    return lambda h: h.notes[which].update(different)


def more(field: str, *rows: object) -> Break:
    return lambda h: getattr(h, field).extend(rows)


def without(field: str, which: int) -> Break:
    return lambda h: getattr(h, field).pop(which)


def in_told(which: int, **different: Any) -> Break:
    def wrong(h: History) -> None:
        h.told[which] = replace(h.told[which], **different)

    return wrong


def both(*breaks: Break) -> Break:
    return lambda h: [each(h) for each in breaks]


def lose(h: History) -> object:
    del h.notes[4:6]
    return h.attempts.pop("job-2"), h.jobs.pop("job-2")  # type: ignore[attr-defined]


def double(h: History) -> None:
    twin = job(3, payload=json.dumps({"token": "token-1"}), result='"token-1.1"')
    h.jobs.update({"job-3": twin})  # type: ignore[attr-defined]
    h.attempts.update({"job-3": [attempt(3)]})  # type: ignore[attr-defined]
    h.notes.extend([note(3, "start", 1), note(3, "end", 2)])


WRONG: dict[str, tuple[Callable[[], History], Break, str]] = {
    "a job that was acknowledged is lost": (
        right,
        lose,
        "job-2 was acknowledged (token token-2) and is lost",
    ),
    "one that only its id is known of is lost": (
        right,
        edit(acknowledged=("job-9",)),
        "job-9 was acknowledged and is lost",
    ),
    "a job was never asked for": (right, without("told", 0), "job-1 was never asked for"),
    "a submit that was refused gave a job": (right, in_told(0, answer="refused", job=None), "was refused"),
    "one key gave two jobs": (right, double, "gave 2 jobs"),
    "a process without a job on record": (right, more("notes", note(9, "start", 1)), "of no job on record"),
    "a run without a record": (
        right,
        more("notes", note(1, "start", 450, attempt=2)),
        "it ran without a record",
    ),
    "another process than the one on record": (right, in_note(0, ticks=2), "another process"),
    "one that found no record of itself": (right, in_note(0, seen=None), "no record of that"),
    "code of an attempt that was given back": (
        retried,
        more("notes", note(3, "start", 1, job=JOB, attempt=3)),
        "given back had begun",
    ),
    "an attempt that began twice": (right, more("notes", note(1, "start", 450)), "it began 2 times"),
    "a job without retries that ran twice": (
        right,
        both(
            lambda h: h.attempts[JOB].append(attempt(3, number=2)),
            more("notes", note(3, "start", 1, job=JOB, attempt=2)),
        ),
        "it began 2 times",
    ),
    "two attempts at once": (
        retried,
        more("notes", note(1, "alive", 450, job=JOB)),
        "still at work when the next",
    ),
    "life after the end on record": (right, in_note(3, wall=1501), "1 ms after its end on record"),
    "a leftover after the end on record": (right, in_note(2, wall=1600), "100 ms after its end on record"),
    "life after a client was told of the end": (
        right,
        in_note(5, at=2.7),
        "a client was told that it had ended",
    ),
    "an attempt that is missing": (retried, lambda h: h.attempts[JOB].pop(2), "its attempts are [1, 2, 4]"),
    "an attempt after the end": (
        retried,
        in_attempt(which=1, status="Cancelled"),
        "it went on after an attempt that was Cancelled",
    ),
    "an attempt before the end of the one before": (
        retried,
        in_attempt(which=0, ended_at=2001),
        "before the one before had ended",
    ),
    "an owner that nobody knows": (right, in_attempt(owner="owner-2"), "its owner is not on record"),
    "more attempts than it may have": (retried, in_job(max_attempts=3), "4 attempts of 3"),
    "an end without an attempt": (right, lambda h: h.attempts.pop("job-1"), "it has no attempt"),  # type: ignore[attr-defined]
    "a running job whose attempt has ended": (right, in_job(status="InProgress"), "its attempt has ended"),
    "a job that says otherwise than its attempt": (
        right,
        in_job(exit_code=3),
        "its last attempt says otherwise",
    ),
    "an end of an attempt that was given back": (
        retried,
        in_attempt(which=3, status="Pending", failure_kind=None),
        "its last attempt was given back",
    ),
    "a completion without the end of its work": (
        right,
        without("notes", 3),
        "its handler did not come to its end",
    ),
    "a cancel that nobody asked for, by the record": (
        right,
        in_job(2, cancel_requested_at=None),
        "nobody asked for that",
    ),
    "a cancel that no client asked for": (right, without("told", 2), "no client has asked for its end"),
    "an edge that does not exist": (
        right,
        lambda h: h.changes.insert(5, change(1, "Failed", 1)),
        "no edge from Completed to Failed",
    ),
    "a life that begins in the middle": (right, without("changes", 0), "its first status was InProgress"),
    "a change that nobody saw": (right, without("changes", 4), "its last change says InProgress"),
    "an attempt that was skipped": (
        right,
        lambda h: h.changes.__setitem__(2, change(1, "InProgress", 2)),
        "its attempt went from 0 to 2",
    ),
    "an attempt that ended twice": (
        by_hand,
        lambda h: h.changes.__setitem__(
            slice(7, 10), [change(1, "Pending", 1), change(1, "InProgress", 1), change(1, "Completed", 1)]
        ),
        "attempt 1 ended 2 times",
    ),
    "a return from the end that nobody asked for": (
        by_hand,
        lambda h: h.told.pop(),
        "it came back from its end 1 times",
    ),
    "more failures than are paid for": (
        retried,
        in_attempt(which=1, failure_kind="raised"),
        "3 of its attempts failed by their own doing, of 2",
    ),
    "more crashes than are paid for": (retried, in_job(crashes=4), "4 by its own count, of 3"),
    "an attempt after its owner's death": (
        retried,
        edit(rules={"Plain": Rules(1, again=True, budget=Budget(2, 3), returns=True)}),
        "it went on after the death of its owner",
    ),
    "attempts that were given for nothing": (
        retried,
        in_job(max_attempts=5),
        "2 attempts of it did not count",
    ),
    "an end that cannot be": (
        right,
        edit(may_end={"token-1": frozenset({"raised"})}),
        "is Completed, and could only be ['raised']",
    ),
    "another's result": (right, in_job(result='"token-2.1"'), "its result is not its own"),
    "an answer that was never true": (
        right,
        in_told(3, status="Failed"),
        "a client was told what it never was",
    ),
    "work after a cancel": (
        by_hand,
        both(
            lambda h: h.told.pop(),
            more(
                "told",
                replace(told("cancel", 1, 250, status="InProgress", attempt=1, said="requested"), job=JOB),
            ),
        ),
        "it went on after a cancel",
    ),
    "a cancel that comes to nothing": (
        right,
        both(in_job(2, status="InProgress"), in_attempt(2, status=None, ended_at=None)),
        "its cancel has not come about",
    ),
    "a slot too many, on record": (
        right,
        lambda h: h.changes.insert(3, h.changes.pop(5)),
        "2 Plain on record at once, of 1",
    ),
    "a slot too many, by the notes": (right, in_note(4, at=1.15), "2 Plain at work at once, of 1"),
    "a slot too many, seen from outside": (right, edit(together={"Plain": 2}), "2 Plain seen at once, of 1"),
    "something is alive": (right, edit(alive=["process 5"]), "process 5 is alive"),
    "a supervisor that ended by itself": (
        right,
        edit(lives=[Life(OWNER, 1, was_ready=True, asked=False)]),
        "ended by itself, with 1",
    ),
    "a supervisor that failed while it served": (
        right,
        edit(lives=[Life(OWNER, 4, was_ready=True, asked=False)]),
        "ended by itself, with 4",
    ),
    "a traceback": (
        right,
        edit(lives=[Life(OWNER, 0, was_ready=True, asked=True, last_words="Traceback")]),
        "wrote a traceback",
    ),
    "a supervisor that is gone, and lives on record": (
        right,
        edit(supervisors={OWNER: {"uuid": OWNER, "state": "running"}}),
        "is running on record",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_it_finds(what: str) -> None:
    history, spoil, sentence = WRONG[what]
    wrong = deepcopy(history())
    spoiled = spoil(wrong)
    found = violations(spoiled if isinstance(spoiled, History) else wrong)
    assert any(sentence in violation for violation in found), found


def test_a_refusal_to_start_is_no_violation() -> None:
    lives = [*right().lives, Life("owner-2", 4, was_ready=False, asked=False)]
    assert violations(replace(right(), lives=lives)) == []


def test_a_job_that_has_not_ended_is_found_where_all_should_have() -> None:
    h = right()
    h.jobs[JOB]["status"] = "Pending"
    assert len(unended(h)) == 1
