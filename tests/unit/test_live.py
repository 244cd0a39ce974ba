"""What somebody sees who waits: lines for a terminal, from the jobs' records alone."""

import time

import pytest

from cli.live import cut, lines_of
from supervisor.lifecycle import JobStatus
from supervisor.store.records import Job
from tests.support.builders import NOW, a_job

RUNS = {"status": JobStatus.IN_PROGRESS, "attempt": 1, "started_at": NOW - 12_500}


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def line(job: Job) -> str:
    (only,) = lines_of([job], 1, NOW)
    return only


def test_progress_is_a_bar_with_its_share_and_what_the_job_says() -> None:
    shown = line(a_job(**RUNS, progress_fraction=0.5, progress_message="page\n4 of 8\x1b[2J"))
    assert shown == f"⠋ {'━' * 12}{'─' * 12}  50% EmailJob InProgress for 12 s: page 4 of 8\\x1b[2J"


def test_the_next_attempt_begins_with_an_empty_bar_and_its_number() -> None:
    again = RUNS | {"attempt": 2, "max_attempts": 3}
    assert line(a_job(**again)) == f"⠋ {'─' * 24}      EmailJob InProgress for 12 s, attempt 2 of 3"


@pytest.mark.parametrize(
    "record, said",
    [
        ({}, "EmailJob Pending, waits for a slot"),
        (
            {"attempt": 1, "max_attempts": 3, "run_at": NOW + 5_000},
            "EmailJob Pending, attempt 2 of 3, waits until 22:13:25",
        ),
        (
            {"attempt": 1, "max_attempts": 3, "run_at": NOW + 86_400_000},
            "EmailJob Pending, attempt 2 of 3, waits until 2023-11-15 22:13:20",
        ),
        (
            {"attempt": 1, "max_attempts": 3, "run_at": NOW},
            "EmailJob Pending, attempt 2 of 3, waits for a slot",
        ),
        (RUNS | {"cancel_requested_at": NOW}, "EmailJob InProgress for 12 s, cancel requested"),
    ],
)
def test_a_job_says_what_it_waits_for(record: dict[str, object], said: str) -> None:
    assert line(a_job(**record)).endswith(f"      {said}")


def test_of_several_each_has_its_name_those_that_run_come_first_and_all_have_a_bar() -> None:
    waits, runs = a_job(id="aaaaaaaa-1"), a_job(id="bbbbbbbb-2", **RUNS)
    ended = a_job(id="cccccccc-3", status=JobStatus.COMPLETED, completed_at=NOW)
    first, second, last = lines_of([waits, ended, runs], 4, NOW)
    assert "EmailJob bbbbbbbb InProgress" in first
    assert "EmailJob aaaaaaaa Pending" in second
    assert last == f"  {'━' * 6}{'─' * 18}  25% 1 of 4 have ended"


def test_of_very_many_a_few_are_shown() -> None:
    crowd = [a_job(id=f"{number:08}-") for number in range(100)]
    assert len(lines_of(crowd, 100, NOW)) == 11


@pytest.mark.parametrize(
    "text, columns, seen",
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e", 2, "e\u0301e"),
    ],
)
def test_a_line_fits_into_the_columns_of_the_terminal(text: str, columns: int, seen: str) -> None:
    assert cut(text, columns) == seen
