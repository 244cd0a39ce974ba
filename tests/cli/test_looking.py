"""list, status, wait and types: nothing here changes a job."""

from collections.abc import Callable

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.cli.commandline import ME, ONLY_THE_STORE, Answer, Installation, PlayedService, eventually

Command = Callable[..., Answer]


def submitted(asyncworker: Command, *words: str) -> str:
    return asyncworker("submit", "-q", *(words or ("EmailJob",))).out.strip()


def test_the_list_is_newest_first_and_in_pages(asyncworker: Command) -> None:
    ids = [submitted(asyncworker) for _ in range(5)]
    page = asyncworker("list", "--page", "2", "--page-size", "2", "--json").json
    assert [job["id"] for job in page.pop("items")] == [ids[2], ids[1]]
    assert page == {"page": 2, "pageSize": 2, "totalCount": 5, "totalPages": 3}


def test_the_table_goes_to_standard_output_and_talk_does_not(asyncworker: Command) -> None:
    ids = [submitted(asyncworker) for _ in range(3)]
    answer = asyncworker("list", "--page-size", "2")
    heading, *rows = answer.out.splitlines()
    assert heading.split() == ["ID", "TYPE", "STATUS", "SUBMITTED", "RAN", "REMARK"]
    assert [row.split()[:3] for row in rows] == [[job, "EmailJob", "Pending"] for job in reversed(ids[1:])]
    assert answer.err == "page 1 of 2, 3 jobs in all\n"


def test_status_and_type_choose_and_statuses_may_be_written_in_any_case(asyncworker: Command) -> None:
    email, report = submitted(asyncworker), submitted(asyncworker, "ReportJob")
    asyncworker("cancel", email)
    chosen = asyncworker("list", "--status", "cancelled", "--json").json["items"]
    assert [job["id"] for job in chosen] == [email]
    chosen = asyncworker("list", "--status", "PENDING", "--type", "ReportJob", "--json").json["items"]
    assert [job["id"] for job in chosen] == [report]


def test_colour_is_for_terminals_and_for_people_who_want_it(
    installation: Installation, asyncworker: Command
) -> None:
    submitted(asyncworker)
    assert "\x1b[33mPending\x1b[0m" in installation.on_a_terminal("list")
    assert "\x1b" not in installation.on_a_terminal("list", given={"NO_COLOR": "1"})
    assert "\x1b" not in installation.run("list").out


def test_an_empty_list_says_so_on_standard_error(asyncworker: Command) -> None:
    answer = asyncworker("list")
    assert (answer.code, answer.out, answer.err) == (0, "", "There are no such jobs.\n")
    submitted(asyncworker)
    assert asyncworker("list", "--page", "9").err == "There is no page 9: there are 1.\n"


def test_an_empty_list_is_json_too(asyncworker: Command) -> None:
    document = {"items": [], "page": 1, "pageSize": 20, "totalCount": 0, "totalPages": 0}
    assert asyncworker("list", "--json").json == document


@pytest.mark.parametrize(
    "words",
    [
        ("--page", "0"),
        ("--page", "-1"),
        ("--page", "two"),
        ("--page-size", "0"),
        ("--page-size", "101"),
        ("--status", "Done"),
    ],
)
def test_impossible_pages_and_statuses_are_usage_errors(asyncworker: Command, words: tuple[str, str]) -> None:
    answer = asyncworker("list", *words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("Error: Invalid value for '--")


def test_status_shows_supervisors_slots_and_counts(asyncworker: Command, service: PlayedService) -> None:
    running = submitted(asyncworker)
    submitted(asyncworker)
    service.start(running)
    seen = asyncworker("status", "--json").json
    assert [(each["processInstanceId"], each["alive"]) for each in seen["supervisors"]] == [(ME, True)]
    slots = {"jobType": "EmailJob", "maxConcurrency": 3, "inUse": 1, "available": 2, "waiting": 1}
    assert seen["concurrency"][0] == slots
    assert (seen["summary"]["inProgress"], seen["summary"]["total"]) == (1, 2)
    shown = asyncworker("status").out
    assert ME in shown
    assert "1 Pending, 1 InProgress, 0 Completed" in shown


def test_status_says_when_nobody_serves(asyncworker: Command, service: PlayedService) -> None:
    service.leave()
    answer = asyncworker("status")
    assert answer.out.startswith("No service is running; start one with: asyncworker serve\n")
    assert "stopped" in answer.out


@ONLY_THE_STORE
def test_status_needs_no_job_types(installation: Installation, asyncworker: Command) -> None:
    submitted(asyncworker)
    installation.config.unlink()
    answer = asyncworker("status", "--json")
    assert answer.code == 0
    assert answer.json["concurrency"] == [
        {"jobType": "EmailJob", "maxConcurrency": None, "inUse": 0, "available": None, "waiting": 1}
    ]
    assert answer.err.startswith("The job types cannot be read")


def test_of_a_job_it_shows_everything(asyncworker: Command, service: PlayedService) -> None:
    job = submitted(asyncworker, "EmailJob", '{"a": "\\u202e  b"}')
    service.start(job)
    service.end(
        job,
        JobStatus.FAILED,
        failure_kind=FailureKind.RAISED,
        error_message="ValueError: \x1b]0;x\x07[bold]",
        traceback="Traceback:\n  here\x1b[2J\n",
        termination={"reason": "timeout", "signals": [], "seconds": 0.5, "killed": 1},
    )
    shown = asyncworker("status", job).out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    for line in (
        "Why:        raised: ValueError: \\x1b]0;x\\x07[bold]",
        'Payload:    {"a":"\\u202e  b"}',
        "  terminated: it was over its timeout: gone after 0.5 s; 1 process killed",
        "  |   here\\x1b[2J",
    ):
        assert line in shown.splitlines()
    document = asyncworker("status", job, "--json").json
    assert (document["failureKind"], document["attempts"][0]["number"]) == ("raised", 1)
    assert document["attempts"][0]["traceback"] == "Traceback:\n  here\x1b[2J\n"


def test_the_list_shows_in_one_line_why_a_job_failed(asyncworker: Command, service: PlayedService) -> None:
    job = submitted(asyncworker)
    service.start(job)
    service.end(job, JobStatus.FAILED, failure_kind=FailureKind.RAISED, error_message="a\n\x1b[1mb\r\nc")
    assert asyncworker("list").out.splitlines()[1].endswith("raised: a \\x1b[1mb c")


def test_the_beginning_of_an_id_is_enough_in_any_case(asyncworker: Command) -> None:
    job = submitted(asyncworker)
    assert asyncworker("status", job[:8].upper(), "--json").json["id"] == job


@pytest.mark.parametrize("verb", ["status", "cancel", "wait", "logs"])
def test_unknown_and_too_short_ids_are_no_such_job(asyncworker: Command, verb: str) -> None:
    job = submitted(asyncworker)
    for wrong in ("ffffffff-0000", job[:3], "%%%%", "' OR 1=1"):
        answer = asyncworker(verb, wrong)
        assert (answer.code, answer.out, answer.err.count("\n")) == (3, "", 1), wrong
    assert "4 characters or more" in asyncworker(verb, job[:3]).err


@pytest.mark.parametrize("verb", ["status", "cancel", "wait", "logs"])
def test_an_ambiguous_id_is_wrong_usage(asyncworker: Command, service: PlayedService, verb: str) -> None:
    from supervisor.store import jobs  # noqa: PLC0415

    with service.store.write() as tx:
        for last in "12":
            jobs.insert(
                tx,
                id=f"aaaaaaaa-0000-4000-8000-00000000000{last}",
                type="EmailJob",
                payload="null",
                priority=0,
                max_attempts=1,
                created_at=0,
            )
    answer = asyncworker(verb, "aaaaaaaa")
    assert (answer.code, answer.out) == (2, "")
    assert "give more of it" in answer.err


def test_wait_ends_when_all_have_completed(installation: Installation, service: PlayedService) -> None:
    jobs = [installation.run("submit", "-q", "EmailJob").out.strip() for _ in "12"]
    with installation.started("wait", *jobs) as waiting:
        for job in jobs:
            service.start(job)
            service.end(job, JobStatus.COMPLETED)
        out, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == 0
    assert all(f"EmailJob {job} Completed" in out for job in jobs)


def test_wait_tells_by_its_exit_code_that_one_did_not_complete(
    asyncworker: Command, service: PlayedService
) -> None:
    jobs = [submitted(asyncworker), submitted(asyncworker)]
    service.start(jobs[0])
    service.end(jobs[0], JobStatus.COMPLETED)
    asyncworker("cancel", jobs[1])
    assert asyncworker("wait", *jobs).code == 1
    assert asyncworker("wait", jobs[0]).code == 0


def test_wait_gives_up_after_the_timeout(asyncworker: Command, service: PlayedService) -> None:
    answer = asyncworker("wait", job := submitted(asyncworker), "--timeout", "100ms")
    assert (answer.code, answer.err) == (1, f"Error: job {job} has not ended after 0.1 seconds\n")


def test_wait_without_a_service_is_told_so_at_once(asyncworker: Command) -> None:
    answer = asyncworker("wait", submitted(asyncworker))
    assert (answer.code, "is Pending and no service is running" in answer.err) == (4, True)


def test_wait_sees_a_service_die(installation: Installation, service: PlayedService) -> None:
    job = installation.run("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    with installation.started("wait", job) as waiting:
        service.leave()
        eventually(lambda: waiting.poll() is not None, within=40.0)
    assert waiting.returncode == 4


def test_types_are_shown_as_configured(asyncworker: Command) -> None:
    documents = asyncworker("types", "--json").json
    assert [(each["name"], each["maxConcurrency"], each["priority"]) for each in documents] == [
        ("EmailJob", 3, 0),
        ("ReportJob", 2, 7),
    ]
    assert "Renders a report" in asyncworker("types").out
