"""What is claimed of long lines, with a scripted clock and keeper, over a real SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.jobtypes.records import JobType
from supervisor.store import jobs
from supervisor.store.records import Job
from tests.support.scripted import Scripted, scripted


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    mail = JobType(name="Mail", handler="a:b", max_concurrency=1000)
    report = JobType(name="Report", command=("true",), max_concurrency=3)
    with scripted(tmp_path, mail, report) as one:
        one.get_ready()
        yield one


def submit(it: Scripted, number: int, type_: str = "Mail", priority: int = 0) -> None:
    with it.store.write() as tx:
        for each in range(number):
            jobs.insert(
                tx,
                id=f"{type_}-{priority}-{each}",
                type=type_,
                payload="1",
                priority=priority,
                max_attempts=1,
                created_at=1,
            )


def assigned(it: Scripted) -> list[str]:
    return [order["job"]["job_id"] for order in it.keeper.of("assign")]


def test_only_what_a_child_waits_for_is_read(it: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[str]()

    def noted(*row: Any) -> Job:
        read.append(Job(*row).id)
        return Job(*row)

    submit(it, 20)
    monkeypatch.setattr(jobs, "Job", noted)
    it.tick()
    assert read == assigned(it) == ["Mail-0-0", "Mail-0-1"]


def test_the_children_that_are_asked_for_are_those_of_all_jobs_with_a_slot(it: Scripted) -> None:
    submit(it, 20)
    submit(it, 20, "Report")
    it.tick()
    assert it.s.wanted == 20 + 3 - it.s.settings.spares


def test_the_line_over_all_types_is_kept_where_children_are_few(it: Scripted) -> None:
    submit(it, 3)
    submit(it, 3, "Report", priority=1)
    submit(it, 1, "Mail", priority=2)
    it.tick()
    it.start_children()
    it.tick()
    assert assigned(it)[:4] == ["Mail-2-0", "Report-1-0", "Report-1-1", "Report-1-2"]
