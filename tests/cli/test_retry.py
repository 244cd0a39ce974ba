from collections.abc import Callable

from supervisor.lifecycle import FailureKind, JobStatus
from tests.cli.commandline import Answer, PlayedService

Command = Callable[..., Answer]


def submitted(asyncworker: Command) -> str:
    return asyncworker("submit", "-q", "EmailJob").out.strip()


def test_an_ended_job_runs_once_more_with_its_id(asyncworker: Command, service: PlayedService) -> None:
    job = submitted(asyncworker)
    service.start(job)
    service.end(job, JobStatus.FAILED, failure_kind=FailureKind.RAISED, error_message="no")
    answer = asyncworker("retry", job[:8])
    assert (answer.code, answer.out) == (0, f"EmailJob {job} is Pending again, after 1 attempt\n")
    found = service.job(job)
    assert (found.status, found.attempt, found.max_attempts) == (JobStatus.PENDING, 1, 2)


def test_what_has_not_ended_is_left_alone_and_the_others_are_retried(
    asyncworker: Command, service: PlayedService
) -> None:
    ended, pending = submitted(asyncworker), submitted(asyncworker)
    asyncworker("cancel", ended)
    answer = asyncworker("retry", pending, ended, "--json")
    assert answer.code == 1
    assert [(job["id"], job["status"], job["attempt"]) for job in answer.json] == [(ended, "Pending", 0)]
    assert answer.err == f"job {pending} has not ended: it is Pending, so there is nothing to retry\n"
    assert service.job(ended).status is JobStatus.PENDING


def test_one_unknown_job_and_none_is_retried(asyncworker: Command, service: PlayedService) -> None:
    job = submitted(asyncworker)
    asyncworker("cancel", job)
    assert asyncworker("retry", job, "99999999").code == 3
    assert service.job(job).status is JobStatus.CANCELLED


def test_without_a_job_it_is_wrong_usage(asyncworker: Command) -> None:
    assert asyncworker("retry").code == 2
