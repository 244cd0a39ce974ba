import json
from collections.abc import Callable

import pytest
from sqlalchemy import text

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.pruning import Pruning
from tests.cli.commandline import Answer, Installation, PlayedService
from tests.support.deep import dig

Command = Callable[..., Answer]
DAY = 86_400_000

pytestmark = pytest.mark.usefixtures("straight_too")


def an_ended(
    asyncworker: Command, service: PlayedService, days_ago: int, status: JobStatus = JobStatus.COMPLETED
) -> str:
    job = asyncworker("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    service.print(job, b"x" * 600)
    service.end(job, status, failure_kind=FailureKind.RAISED if status is JobStatus.FAILED else None)
    with service.store.write() as tx:
        tx.execute(
            text("UPDATE jobs SET completed_at = completed_at - :ago WHERE id = :job"),
            {"ago": days_ago * DAY, "job": job},
        )
    return job


def test_what_is_older_than_it_is_kept_is_removed_and_told(
    asyncworker: Command, service: PlayedService
) -> None:
    old = an_ended(asyncworker, service, 8)
    kept = an_ended(asyncworker, service, 6)
    failed = an_ended(asyncworker, service, 8, JobStatus.FAILED)
    answer = asyncworker("prune")
    assert (answer.code, answer.out) == (
        0,
        "Removed 1 Completed, 0 Failed and 0 Cancelled jobs, and 600 bytes of logs.\n",
    )
    assert {job.id for job in service.jobs()} == {kept, failed}
    assert asyncworker("status", old).code == 3
    assert not service.locations.log_of(old, 1).exists()
    assert service.locations.log_of(kept, 1).exists()


def test_folders_deeper_than_python_calls_are_removed(asyncworker: Command, service: PlayedService) -> None:
    job = an_ended(asyncworker, service, 8)
    dig(service.locations.log_of(job, 1).parent, 1500)
    answer = asyncworker("prune")
    assert (answer.code, answer.err) == (0, "")
    assert list((service.locations.logs / ".removed").iterdir()) == []


def test_a_dry_run_removes_nothing(asyncworker: Command, service: PlayedService) -> None:
    for status in (JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.COMPLETED):
        an_ended(asyncworker, service, 40, status)
    answer = asyncworker("prune", "--dry-run", "--keep-failed", "50d")
    assert answer.out == "Would remove 2 Completed, 0 Failed and 0 Cancelled jobs, and 1.2 kB of logs.\n"
    answer = asyncworker("prune", "--dry-run", "--keep-completed", "forever", "--json")
    assert answer.json == {
        "completed": 0,
        "failed": 1,
        "cancelled": 0,
        "logBytes": 600,
        "problem": None,
        "dryRun": True,
    }
    assert len(service.jobs()) == 3


def test_the_environment_says_how_long_to_keep(
    asyncworker: Command, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_ended(asyncworker, service, 0)
    monkeypatch.setenv("ASYNCWORKER_KEEP_COMPLETED", "0")
    assert json.loads(asyncworker("prune", "--json").out)["completed"] == 1


def test_a_time_that_makes_no_sense_is_wrong_usage(asyncworker: Command) -> None:
    answer = asyncworker("prune", "--keep-failed", "always")
    assert (answer.code, "or forever" in answer.err) == (2, True)


def test_logs_that_cannot_be_removed_are_told(
    asyncworker: Command, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = an_ended(asyncworker, service, 8)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.rename", refuse)
    answer = asyncworker("prune")
    assert answer.code == 1
    assert (
        answer.err.splitlines()[-1] == f"{service.locations.logs / job} cannot be removed (Permission denied)"
    )
    assert [found.id for found in service.jobs()] == [job]


def test_an_interrupt_says_what_is_done_and_leaves_the_rest(
    asyncworker: Command, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        an_ended(asyncworker, service, 8)
    monkeypatch.setattr("supervisor.pruning._BATCH", 1)
    batch = Pruning._remove_some
    left = 2

    def remove_some(self: Pruning, *given: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return batch(self, *given)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Pruning, "_remove_some", remove_some)
    answer = asyncworker("prune")
    assert (answer.code, answer.out) == (130, "")
    assert "Stopped. Removed 2 Completed, 0 Failed and 0 Cancelled jobs, " in answer.err
    (kept,) = service.jobs()
    assert service.locations.log_of(kept.id, 1).exists()
    monkeypatch.undo()


def test_it_works_in_a_process_of_its_own(installation: Installation, service: PlayedService) -> None:
    if installation.way == "store":
        answer = installation.run("prune", "--keep-completed", "1h", "--json")
        assert (answer.code, answer.json["completed"]) == (0, 0)
