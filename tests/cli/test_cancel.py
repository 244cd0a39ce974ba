import signal
import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from supervisor import ways
from supervisor.client import Client, NewJob
from supervisor.lifecycle import JobStatus
from supervisor.store import Transaction, jobs
from tests.cli.commandline import Answer, Installation, PlayedService, eventually

Command = Callable[..., Answer]

TERMINATION = {
    "reason": "cancel",
    "signals": [{"signal": "SIGTERM", "afterSeconds": 0.0}, {"signal": "SIGKILL", "afterSeconds": 2.0}],
    "seconds": 2.1,
    "killed": 3,
}


def submitted(asyncworker: Command, job_type: str = "EmailJob") -> str:
    return asyncworker("submit", "-q", job_type).out.strip()


def test_a_pending_job_is_cancelled_at_once_without_a_service(asyncworker: Command) -> None:
    job = submitted(asyncworker)
    answer = asyncworker("cancel", job)
    assert (answer.code, answer.out) == (0, f"Cancelled EmailJob {job}: it had not begun\n")
    assert asyncworker("status", job, "--json").json["status"] == "Cancelled"


def test_a_job_that_had_ended_stays_as_it_is(asyncworker: Command) -> None:
    job = submitted(asyncworker)
    asyncworker("cancel", job)
    answer = asyncworker("cancel", job)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"Job {job} had already ended: it is Cancelled.\n"


def test_of_a_running_job_it_says_what_its_end_took(
    installation: Installation, service: PlayedService
) -> None:
    job = installation.run("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    with installation.started("cancel", job) as cancelling:
        eventually(lambda: service.job(job).cancel_requested_at)
        service.end(job, JobStatus.CANCELLED, termination=TERMINATION)
        out, err = cancelling.communicate(timeout=20)
    assert (cancelling.returncode, err) == (0, "")
    assert out == (
        f"Cancelled EmailJob {job}: "
        "SIGTERM at once, SIGKILL after 2 s; gone after 2.1 s; 3 processes killed\n"
    )


def test_as_json_it_is_the_jobs_with_answer_and_termination(
    installation: Installation, service: PlayedService
) -> None:
    jobs = [installation.run("submit", "-q", "EmailJob").out.strip() for _ in "12"]
    service.start(jobs[0])
    with installation.started("cancel", *jobs, "--json") as cancelling:
        eventually(lambda: service.job(jobs[0]).cancel_requested_at)
        service.end(jobs[0], JobStatus.CANCELLED, termination=TERMINATION)
        out, err = cancelling.communicate(timeout=20)
    first, second = Answer(0, out, err).json
    assert (first["status"], first["answer"], first["termination"]) == ("Cancelled", "requested", TERMINATION)
    assert (second["status"], second["answer"], second["termination"]) == ("Cancelled", "cancelled", None)


def test_a_job_that_completed_before_the_cancel_reached_it_is_told_apart(
    installation: Installation, service: PlayedService
) -> None:
    job = installation.run("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    with installation.started("cancel", job) as cancelling:
        eventually(lambda: service.job(job).cancel_requested_at)
        service.end(job, JobStatus.COMPLETED, result="1")
        out, err = cancelling.communicate(timeout=20)
    assert (cancelling.returncode, out) == (1, "")
    assert err == f"Job {job} ended before the cancel reached it: it is Completed.\n"


def test_without_waiting_the_request_is_all(asyncworker: Command, service: PlayedService) -> None:
    job = submitted(asyncworker)
    service.start(job)
    answer = asyncworker("cancel", "--no-wait", job)
    assert (answer.code, answer.out) == (0, f"Cancel requested: EmailJob {job}\n")
    assert service.job(job).cancel_requested_at


@pytest.mark.parametrize("words, code", [((), 4), (("--no-wait",), 0)])
def test_without_a_service_the_request_to_end_a_running_job_is_recorded(
    asyncworker: Command, service: PlayedService, words: tuple[str, ...], code: int
) -> None:
    job = submitted(asyncworker)
    service.start(job)
    service.leave()
    answer = asyncworker("cancel", job, *words)
    assert (answer.code, answer.out) == (code, f"Cancel requested: EmailJob {job}\n")
    assert ("takes effect when one is started" in answer.err) is (code == 4)
    assert service.job(job).cancel_requested_at


def test_an_interrupt_leaves_the_request(installation: Installation, service: PlayedService) -> None:
    job = installation.run("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    with installation.started("cancel", job) as cancelling:
        eventually(lambda: service.job(job).cancel_requested_at)
        cancelling.send_signal(signal.SIGINT)
        cancelling.communicate(timeout=20)
    assert cancelling.returncode == 130
    assert service.job(job).status is JobStatus.IN_PROGRESS


def test_filters_cancel_all_that_match_and_nothing_else(straight_too: None, asyncworker: Command) -> None:
    emails = {submitted(asyncworker) for _ in range(3)}
    report = submitted(asyncworker, "ReportJob")
    answer = asyncworker("cancel", "--type", "EmailJob", "--status", "pending", "--json")
    assert answer.code == 0
    assert {job["id"] for job in answer.json} == emails
    assert asyncworker("status", report, "--json").json["status"] == "Pending"


def test_payloads_of_many_cancelled_jobs_are_not_in_memory_at_once(
    straight_too: None, asyncworker: Command, straight: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways.straight, "BATCH", 1)
    size, number = 500_000, 20
    straight.submit_many([NewJob("EmailJob", "x" * size)] * number)
    tracemalloc.start()
    try:
        answer = asyncworker("cancel", "--type", "EmailJob")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.code, answer.out.count("it had not begun\n")) == (0, number)
    assert peak < size * number / 2


def test_an_interrupt_in_the_middle_says_how_many_are_on_record(
    straight_too: None, asyncworker: Command, straight: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways.straight, "BATCH", 2)
    ids = [straight.submit("EmailJob").id for _ in range(5)]
    living = jobs.living

    def interrupted(tx: Transaction, some: Sequence[str], status: JobStatus | None) -> list[str]:
        if ids[2] in some:
            raise KeyboardInterrupt
        return living(tx, some, status)

    monkeypatch.setattr(jobs, "living", interrupted)
    answer = asyncworker("cancel", "--type", "EmailJob", "--json")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == "Interrupted; the request to cancel 2 jobs is on record and stands.\n"
    assert [straight.get(each).ended for each in ids] == [True, True, False, False, False]


def test_a_filter_for_pending_leaves_running_jobs_alone(
    straight_too: None, asyncworker: Command, service: PlayedService
) -> None:
    running, waiting = submitted(asyncworker), submitted(asyncworker)
    service.start(running)
    assert [job["id"] for job in asyncworker("cancel", "--status", "Pending", "--json").json] == [waiting]
    assert service.job(running).cancel_requested_at is None


def test_filters_that_match_nothing_are_no_mistake(straight_too: None, asyncworker: Command) -> None:
    answer = asyncworker("cancel", "--type", "EmailJob")
    assert (answer.code, answer.out, answer.err) == (0, "", "There are no such jobs to cancel.\n")


@pytest.mark.parametrize(
    "words", [(), ("abcd", "--type", "EmailJob"), ("--status", "Completed"), ("--no-wait",)]
)
def test_jobs_or_a_filter_and_not_both(asyncworker: Command, words: tuple[str, ...]) -> None:
    answer = asyncworker("cancel", *words)
    assert (answer.code, answer.out) == (2, "")


def test_one_unknown_job_among_several_and_none_is_cancelled(asyncworker: Command) -> None:
    job = submitted(asyncworker)
    assert asyncworker("cancel", job, "ffffffff").code == 3
    assert asyncworker("status", job, "--json").json["status"] == "Pending"


def test_a_job_named_twice_is_cancelled_once(asyncworker: Command) -> None:
    job = submitted(asyncworker)
    assert len(asyncworker("cancel", job, job[:8], "--json").json) == 1
